"""Runs of EDM and EDM2: pickled modules, which are read only where the user trusts them, in a process of its own."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import lcsc
from lcsc.checkpoints.base import Checkpoint, CheckpointFile, RunFolder, files_in
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.checkpoints.templates import template_of
from lcsc.errors import InputError
from lcsc.files import replacing

logger = logging.getLogger("lcsc")

_NAME = re.compile(
    r"(?P<raw>training-state)-(?P<step>\d+)\.pt|network-snapshot-(?P<kimg>\d+)(?:-(?P<width>[\d.]+))?\.pkl"
)
_OURS = f"{InputError.__module__}.{InputError.__qualname__}: "  # how Python announces our errors


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
        found = _read(file.path, _key(file, run), run.python_path)
        if found is None:
            way = "check state_key" if run.python_path else "set checkpoints.python_path to the code base's folder"
            key = _key(file, run)
            raise InputError(f"{file.path}: found no tensors under {key!r}, expected a module or its state dict; {way}")
        return found

    def container(self, file: CheckpointFile, checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
        """The file whose copy gets the merged tensors, and where in it; safetensors where it needs its own classes."""
        template = template_of(file.path, run)
        found = {"format": self.name, "key": _key(file, run), "template": template}
        if not run.python_path:  # stand-ins have read it
            return found
        try:
            with tempfile.TemporaryDirectory() as scratch:
                tensors = {**checkpoint.tensors, **{a: checkpoint.tensors[k] for a, k in checkpoint.aliases.items()}}
                write(Path(scratch) / file.path.name, tensors, found, file.path)
        except InputError as error:
            logger.warning("%s; the merged checkpoint will be a safetensors file", error)
            name = f"{template['file'].removesuffix(file.path.suffix)}.safetensors"
            return {
                "format": "safetensors",
                "metadata": {},
                "name": name,
                "dropped": ["the pickled module around them"],
            }
        return found


def write(output: Path, tensors: Mapping[str, torch.Tensor], container: Mapping[str, Any], template: Path) -> None:
    """The file ``template`` with ``tensors`` as the module's; all else in it, such as its optimiser, stays.

    No code of the file is executed. Raises :class:`InputError` where its tensors take the code base's own classes to
    be found.
    """
    with tempfile.TemporaryDirectory() as scratch, replacing(output) as temporary:
        given = Path(scratch) / "tensors.safetensors"
        SafetensorsFormat().write(given, tensors, {})
        if reason := _worker("write", [str(template), container["key"], str(given), str(temporary)]):
            raise InputError(f"{template}: other tensors cannot be put into this pickle ({reason})")


def _key(file: CheckpointFile, run: RunFolder) -> str:
    return run.state_key or ("net" if file.track == "raw" else "ema")


def _described(run: RunFolder) -> list[CheckpointFile]:
    files = []
    for path in files_in(run, [".pt", ".pkl"]):
        if found := _NAME.fullmatch(path.name):
            track = "raw" if found["raw"] else f"ema_{found['width']}" if found["width"] else "ema"
            files.append(CheckpointFile(path, int(found["step"] or found["kimg"]), track))
    return files


def _read(path: Path, key: str, folders: Sequence[str]) -> Checkpoint | None:
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "tensors.safetensors"
        if reason := _worker("read", [str(path), key, str(output), *folders]):
            if reason.startswith(str(path)):  # ours: it says all that there is to say
                raise InputError(reason)
            needs = "" if folders else ", or need its classes, set checkpoints.python_path to the code base's folder"
            raise InputError(
                f"{path}: cannot be read as a pickled module ({reason}); it may be truncated, copy it again{needs}"
            )
        return SafetensorsFormat().read(output) if output.is_file() else None


def _worker(task: str, words: Sequence[str]) -> str:
    """Run a task of :mod:`lcsc.checkpoints.pickle_worker`; why it failed, empty where it did not."""
    command = [sys.executable, "-W", "ignore", "-m", "lcsc.checkpoints.pickle_worker", task, *words]
    ours = [str(Path(lcsc.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(ours)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or ["it ended without a word"])[-1].removeprefix(_OURS)
