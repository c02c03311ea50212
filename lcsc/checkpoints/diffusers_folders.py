"""Runs of diffusers' and accelerate's training scripts: a folder for each save, such as ``checkpoint-1000``.

In it a folder for each part of the model (``unet``, and ``unet_ema`` for its average) with ``config.json`` and
weights, in one file or in shards with an index; or, by accelerate alone, the weights themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from lcsc.checkpoints.base import Checkpoint, CheckpointFile, RunFolder, last_number
from lcsc.checkpoints.registry import format_named, format_of
from lcsc.errors import InputError
from lcsc.files import replacing_folder, write_text
from lcsc.refusals import inside, read_or_refuse

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_ENDS = (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".fp16.safetensors", ".fp16.bin")
_NAMES = tuple(stem + end for end in _ENDS for stem in _STEMS)
_INDEX, _CONFIG, _AVERAGE = ".index.json", "config.json", "_ema"
_USUAL = ("unet", "transformer", "model")


class Diffusers:
    """Tracks "raw" (``unet``) and "ema" (``unet_ema``); ``state_key`` names another part than the usual ones."""

    name = "diffusers"

    def recognises(self, run: RunFolder) -> bool:
        """Whether a folder with a number in its name holds weights under the names that diffusers gives them."""
        return next(_parts(run), None) is not None

    def find(self, run: RunFolder) -> list[CheckpointFile]:
        """The folders of one part and of its average."""
        found = list(_parts(run))
        names = {part.name.removesuffix(_AVERAGE) for _, part, inner in found if inner}
        chosen = run.state_key or next((name for name in _USUAL if name in names), None)
        if chosen is None and len(names) == 1:
            (chosen,) = names
        if names and chosen not in names:
            listed = ", ".join(sorted(names))
            raise InputError(f"{run.path}: found the parts {listed}, expected one; name it with state_key")
        return [
            CheckpointFile(part, step, "ema" if inner and part.name == f"{chosen}{_AVERAGE}" else "raw")
            for step, part, inner in found
            if (inner and part.name in (chosen, f"{chosen}{_AVERAGE}")) or not (inner or names)
        ]

    def read(self, file: CheckpointFile, run: RunFolder) -> Checkpoint:
        """The tensors of all shards."""
        weights = _weights_of(file.path)
        if weights is None:
            raise InputError(
                f"{file.path}: found no weights, expected {_NAMES[0]}, shards with an index, or .bin files"
            )
        if not weights.name.endswith(_INDEX):
            return format_of(weights).read(weights)
        places = _weight_map(weights)
        tensors: dict[str, torch.Tensor] = {}
        for shard in sorted(set(places.values())):
            tensors |= format_of(file.path / shard).read(file.path / shard).tensors
        for name in sorted(places.keys() ^ tensors.keys()):
            where = "the shards" if name in places else "the index"
            raise InputError(f"{weights}: tensor {name!r} is missing in {where}; copy the folder again")
        return Checkpoint(tensors)

    def container(self, file: CheckpointFile, checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
        """Names of the weights' files (``.bin`` becomes safetensors, which diffusers prefers) and the config's text."""
        weights = _weights_of(file.path)
        assert weights is not None
        places = _weight_map(weights) if weights.name.endswith(_INDEX) else {}
        config = file.path / _CONFIG
        return {
            "format": self.name,
            "weights": _safe(weights.name),
            "shards": {name: _safe(shard) for name, shard in places.items()},
            "config": read_or_refuse(config, config.read_text, what="a config") if config.is_file() else None,
        }


def write(output: Path, tensors: Mapping[str, torch.Tensor], container: Mapping[str, Any]) -> None:
    """A folder with weights, in shards where the source had any, and the config; ``from_pretrained`` reads it.

    It appears whole or not at all.
    """
    kind, shards = format_named("safetensors"), container["shards"]
    with replacing_folder(output) as folder:
        weights = inside(folder, container["weights"], "recipe")
        for shard in sorted(set(shards.values())):
            part = {name: tensors[name] for name in tensors if shards[name] == shard}
            kind.write(inside(folder, shard, "recipe"), part, {})
        if shards:
            size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
            index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(shards.items()))}
            write_text(weights, json.dumps(index, indent=2) + "\n")
        else:
            kind.write(weights, tensors, {})
        if container["config"] is not None:
            write_text(folder / _CONFIG, container["config"])


def _parts(run: RunFolder) -> Iterator[tuple[int, Path, bool]]:
    """Step, folder, and whether it is a part within the save's folder."""
    for save in sorted(path for path in run.path.glob(run.pattern or "*") if path.is_dir()):
        step = last_number(save)
        if step is None or save.name.startswith("."):
            continue
        if _weights_of(save) is not None:
            yield step, save, False
        for part in sorted(path for path in save.iterdir() if path.is_dir()):
            if (part / _CONFIG).is_file() and _weights_of(part) is not None:
                yield step, part, True


def _weights_of(folder: Path) -> Path | None:
    return next((path for name in _NAMES if (path := folder / name).is_file()), None)


def _weight_map(index: Path) -> dict[str, str]:
    record = read_or_refuse(index, lambda: json.loads(index.read_text(encoding="utf-8")), what="an index of shards")
    places = record.get("weight_map") if isinstance(record, dict) else None
    if not isinstance(places, dict) or not places:
        raise InputError(f"{index}: found no 'weight_map', expected the shard of each tensor; copy it again")
    for name, shard in places.items():
        if not isinstance(shard, str) or Path(shard).name != shard or shard == "..":
            raise InputError(f"{index}: tensor {name!r}: found shard {shard!r}, expected a file beside the index")
        if not (index.parent / shard).is_file():
            raise InputError(f"{index.parent / shard}: not found; expected a shard that {index.name} names")
    return places


def _safe(name: str) -> str:
    name = name.replace("pytorch_model", "model", 1) if name.startswith("pytorch_model") and ".bin" in name else name
    return name.replace(".bin", ".safetensors")
