"""Networks of diffusers from the config.json that its models are saved with."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from lcsc.errors import InputError, reason_of
from lcsc.files import hash_of
from lcsc.refusals import read_or_refuse

CONFIG = "config.json"
_CLASS = "_class_name"


def from_config(path: Path | str, args: Mapping[str, Any]) -> nn.Module:
    """The model that ``path``, a config.json or its folder, describes, not trained; ``args`` stand over its values.

    Raises :class:`InputError` where the file is none of a model of diffusers, or diffusers is not installed.
    """
    file, settings = read_config(path)
    name = settings.get(_CLASS)
    found = getattr(_diffusers(), name, None) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, nn.Module) and hasattr(found, "from_config")):
        raise InputError(f"{file}: {_CLASS} is {name!r}, expected a model of diffusers, such as UNet2DModel")
    _check(file, found, args)
    try:
        network = found.from_config({**settings, **args})
    except Exception as error:
        raise InputError(f"{file}: {name} refuses it ({reason_of(error)}); correct it, or network.args") from error
    assert isinstance(network, nn.Module)
    return network


def _check(file: Path, model: type[nn.Module], args: Mapping[str, Any]) -> None:
    """Refuse ``args`` that ``model`` does not know, which diffusers would leave out with a warning."""
    known = sorted(set(inspect.signature(model.__init__).parameters) - {"self"})
    unknown = next((key for key in args if key not in known), None)
    if unknown is not None:
        (nearest,) = difflib.get_close_matches(unknown, known, n=1, cutoff=0.0)
        raise InputError(
            f"{file}: {model.__name__} does not know network.args {unknown!r}; the nearest that it knows is {nearest!r}"
        )


def content_hash(path: Path | str) -> str:
    """The sha256 of what makes the model that ``path`` describes; its version and source are no part of that."""
    _, settings = read_config(path)
    return hash_of({key: value for key, value in settings.items() if key == _CLASS or not key.startswith("_")})


def read_config(path: Path | str) -> tuple[Path, dict[str, Any]]:
    """The file that ``path``, a config.json or its folder, names, and what it holds."""
    file = Path(path) / CONFIG if Path(path).is_dir() else Path(path)
    text = read_or_refuse(file, lambda: file.read_text(encoding="utf-8"), what="a model's config.json of diffusers")
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise InputError(f"{file}: no JSON ({error}); expected a model's config.json of diffusers") from error
    if not isinstance(settings, dict):
        raise InputError(f"{file}: found {type(settings).__name__}, expected a JSON object with {_CLASS!r}")
    return file, settings


def _diffusers() -> Any:
    try:
        return importlib.import_module("diffusers")
    except ImportError as error:
        raise InputError(
            "network: diffusers is not installed, which networks of its own need; pip install 'lcsc[diffusers]'"
        ) from error
