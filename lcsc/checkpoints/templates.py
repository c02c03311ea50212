"""The file of a run that lends a merged checkpoint all that is no weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcsc.checkpoints.base import RunFolder, content_sha256
from lcsc.errors import InputError
from lcsc.refusals import inside


def template_of(path: Path, run: RunFolder) -> dict[str, str]:
    """What a container says of its template ``path``, a file in the folder of ``run``."""
    file = path.relative_to(run.path).as_posix()
    return {"folder": str(run.path), "file": file, "sha256": content_sha256(path)}


def template_path(container: Mapping[str, Any], source: Path | str | None) -> Path:
    """Where the template of ``container`` is: in the run's folder, or in ``source`` where that was moved.

    Raises :class:`InputError` where it is gone or another file.
    """
    template: Mapping[str, str] = container["template"]
    path = inside(Path(source or template["folder"]), template["file"], "recipe")
    if not path.exists():
        raise InputError(
            f"{path}: not found; expected the run's own file, from which a merged one of format "
            f"'{container['format']}' takes what is no weight; name the run's folder with --source"
        )
    if content_sha256(path) != template["sha256"]:
        raise InputError(f"{path}: found another file than the one collected; name the run's folder with --source")
    return path
