"""Writing tensors in the container that a run's own files have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lcsc.checkpoints.registry import format_named


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
    own = container.get("metadata", {})
    format_named(container["format"]).write(output, tensors, {**own, **metadata}, container.get("state_key"))
