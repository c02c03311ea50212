"""Writing tensors in the container that a run's own files have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lcsc.checkpoints import ddim, diffusers_folders, edm, lightning_files
from lcsc.checkpoints.registry import format_named
from lcsc.checkpoints.templates import template_path


def write_container(
    container: Mapping[str, Any],
    output: Path,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
    source: Path | str | None = None,
) -> None:
    """Write ``tensors``, under the names of the files, as ``container`` (see :class:`Family`) says.

    ``metadata`` is written where the format has a place for it, with what the container says of its own. ``source``
    is the folder of the run, for containers that need a file of it, where it is no longer where it was.
    """
    kind = container["format"]
    if kind == "ddim":
        ddim.write(output, tensors, container)
    elif kind == "diffusers":
        diffusers_folders.write(output, tensors, container)
    elif kind == "edm":
        edm.write(output, tensors, container, template_path(container, source))
    elif kind == "lightning":
        lightning_files.write(output, tensors, container, template_path(container, source))
    else:
        _write_plain(container, output, tensors, metadata)


def _write_plain(
    container: Mapping[str, Any], output: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> None:
    own = container.get("metadata", {})
    format_named(container["format"]).write(output, tensors, {**own, **metadata}, container.get("state_key"))
