"""Files of weights that extractors need: where they come from, and the checksum that says they are the right ones.

Nothing but :func:`fetch` opens a connection, and no step calls it but `lcsc fetch`: jobs of a cluster have no network.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import torch

from lcsc.checkpoints.registry import format_of
from lcsc.checkpoints.torch_files import TorchFormat, load_tensors, state_of
from lcsc.config.settings import PYTORCH_FID, TORCHSCRIPT
from lcsc.errors import InputError, LcscError
from lcsc.files import HASH_BLOCK, replacing, sha256_of


class Source(NamedTuple):
    """Where a file of weights is published, and its sha256."""

    url: str
    sha256: str


# TensorFlow's Inception of 2015: as TorchScript, which clean-fid and StyleGAN's code use, and as pytorch-fid has it.
SOURCES = {
    TORCHSCRIPT: Source(
        f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{TORCHSCRIPT}",
        "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
    ),
    PYTORCH_FID: Source(
        f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{PYTORCH_FID}",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ),
}
SECONDS_WITHOUT_ANSWER = 60


def fetch(name: str, output: Path | str) -> None:
    """Download the weights ``name`` of :data:`SOURCES` to ``output``; a file that is there and right stays.

    Raises :class:`InputError` for a name that is none, :class:`LcscError` where the download fails or brings another
    content, of which nothing is kept.
    """
    output = Path(output)
    if name not in SOURCES:
        raise InputError(f"lcsc fetch: found {name!r}, expected one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    if output.is_file() and sha256_of(output) == source.sha256:
        return
    way_out = f"download {source.url} elsewhere, and name the file as the extractor's `weights`"
    with replacing(output) as temporary:
        try:
            found = _download(source.url, temporary)
        except (OSError, HTTPException, urllib.error.URLError) as error:
            raise LcscError(f"{source.url}: cannot be downloaded ({error}); {way_out}") from error
        if found != source.sha256:
            raise LcscError(
                f"{source.url}: sha256 {found[:12]}, expected {source.sha256[:12]}; try again, or {way_out}"
            )


def _download(url: str, target: Path) -> str:
    """Write what ``url`` has to ``target``; returns its sha256."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=SECONDS_WITHOUT_ANSWER) as answer, target.open("wb") as stream:
        while block := answer.read(HASH_BLOCK):
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()


def require_weights(path: Path | str | None, sha256: str, name: str | None = None) -> Path:
    """``path``, whose content must have this ``sha256``; ``name`` of :data:`SOURCES` is what can be fetched."""
    way_out = f"run: lcsc fetch {name} --output FILE, where there is a network" if name else "give the file's path"
    if path is None:
        raise InputError(f"--weights: found nothing, expected the file of the extractor's weights; {way_out}")
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: not found, expected weights with sha256 {sha256[:12]}; {way_out}")
    found = sha256_of(path)
    if found != sha256:
        raise InputError(
            f"{path}: sha256 {found[:12]}, expected {sha256[:12]}: other weights measure another distance; {way_out}, "
            "or name the file's own sha256 in the configuration"
        )
    return path


def read_state(path: Path, nested: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """The state dict in ``path``, safetensors or torch; under the first of the keys ``nested`` that the file has.

    Raises :class:`InputError` for a truncated or foreign file, and for one that would execute code.
    """
    kind = format_of(path)
    if isinstance(kind, TorchFormat):
        content = load_tensors(path)
        keys = [key for key in nested if isinstance(content, dict) and isinstance(content.get(key), dict)]
        found = state_of(path, content[keys[0]] if keys else content, keys[0] if keys else None)
    else:
        found = kind.read(path)
    return found.tensors | {name: found.tensors[kept] for name, kept in found.aliases.items()}
