"""Runs of EDM and EDM2: pickled modules, which are read only where the user trusts them, in a process of its own."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import lcsc
from lcsc.checkpoints.base import Checkpoint, CheckpointFile, RunFolder, files_in
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.errors import InputError

logger = logging.getLogger("lcsc")

_NAME = re.compile(
    r"(?P<raw>training-state)-(?P<step>\d+)\.pt|network-snapshot-(?P<kimg>\d+)(?:-(?P<width>[\d.]+))?\.pkl"
)


class EDM:
    """Tracks "raw" (``training-state-*.pt``), "ema" (``network-snapshot-*.pkl``), "ema_0.050" (EDM2's widths).

    Steps are the names' numbers: thousands of images.
    """

    name = "edm"

    def recognises(self, run: RunFolder) -> bool:
        """Whether a file has one of these names."""
        return bool(_described(run))

    def find(self, run: RunFolder) -> list[CheckpointFile]:
        """The files with such names; refused where pickles are not trusted."""
        files = _described(run)
        if files and not run.trust_pickle:
            raise InputError(
                f"{files[-1].path}: found a pickled module, which can execute any code when it is loaded: refused; "
                "where you trust whoever made the file, set checkpoints.trust_pickle: true"
            )
        if files:
            logger.warning("%s: trust_pickle: files are unpickled, which can execute any code in them", run.path)
        return files

    def read(self, file: CheckpointFile, run: RunFolder) -> Checkpoint:
        """The module's parameters and buffers: by stand-ins for its classes, else with those on ``python_path``."""
        key = run.state_key or ("net" if file.track == "raw" else "ema")
        found = _read(file.path, key, ()) or (_read(file.path, key, run.python_path) if run.python_path else None)
        if found is None:
            way = "check state_key" if run.python_path else "set checkpoints.python_path to the code base's folder"
            raise InputError(f"{file.path}: found no tensors under {key!r}, expected a module or its state dict; {way}")
        return found

    def container(self, file: CheckpointFile, checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
        """Safetensors: pickled modules of other people's classes are not written."""
        source = file.path.relative_to(run.path).as_posix()
        name = f"{source.removesuffix(file.path.suffix)}.safetensors"
        return {"format": "safetensors", "metadata": {}, "name": name, "dropped": ["the pickled module around them"]}


def _described(run: RunFolder) -> list[CheckpointFile]:
    files = []
    for path in files_in(run, [".pt", ".pkl"]):
        if found := _NAME.fullmatch(path.name):
            track = "raw" if found["raw"] else f"ema_{found['width']}" if found["width"] else "ema"
            files.append(CheckpointFile(path, int(found["step"] or found["kimg"]), track))
    return files


def _read(path: Path, key: str, folders: tuple[str, ...]) -> Checkpoint | None:
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "tensors.safetensors"
        command = [sys.executable, "-W", "ignore", "-m", "lcsc.checkpoints.pickle_worker", str(path), str(output), key]
        ours = [str(Path(lcsc.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(ours)}
        done = subprocess.run([*command, *folders], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise InputError(
                f"{path}: cannot be read as a pickled module ({reason}); it may be truncated, copy it again"
            )
        return SafetensorsFormat().read(output) if output.is_file() else None
