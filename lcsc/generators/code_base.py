"""Imports from folders of someone's code base, without a trace on the import path, and from two of them at once."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from lcsc.errors import InputError, reason_of

# The modules that were imported from each list of folders, by name.
_imported: dict[tuple[str, ...], dict[str, ModuleType]] = {}


@contextmanager
def code_base(folders: Sequence[str]) -> Iterator[None]:
    """Imports within the block look into ``folders`` first, as those of a program that stands there would.

    Modules of the same name from elsewhere (another code base, an installed package) make room for the block and
    stand again after it; each code base keeps its own. Modules that displaced none stay imported, so that functions
    of the code base may import its parts when they are called. Not to be entered by two threads at once.
    """
    places = tuple(_folder(folder) for folder in folders)
    if not places:
        yield
        return
    path, names = list(sys.path), _top_level_names(places)
    displaced = {name: module for name, module in _of(names) if not _from(sys.modules[_top(name)], places)}
    for name in displaced:
        del sys.modules[name]
    sys.modules.update(_imported.get(places, {}))
    sys.path[:0] = places
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        _imported[places] = dict(_of(names))
        contested = {_top(name) for name in displaced}
        for name, _ in _of(contested):
            del sys.modules[name]
        sys.modules.update(displaced)


def imported(reference: str, what: str) -> Any:
    """What ``reference`` ("module:name", or "module:name.attribute") names; ``what`` is the section that says so.

    Raises :class:`InputError` where it cannot be imported or is not callable.
    """
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute):
        raise InputError(f"{what}: factory is {reference!r}, expected 'module:callable'")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{what}: factory {reference!r} cannot be imported ({reason_of(error)}); install it, or name its folder "
            f"in {what}.python_path"
        ) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise InputError(
            f"{what}: factory {reference!r}: {module_name} has no callable {attribute!r}; correct the name"
        )
    return found


def _folder(path: str) -> str:
    if not Path(path).is_dir():
        raise InputError(f"python_path: {path}: not found, expected a folder with Python modules; correct it")
    return str(Path(path).resolve())


def _top(name: str) -> str:
    return name.partition(".")[0]


def _of(names: set[str]) -> list[tuple[str, ModuleType]]:
    """The imported modules below the top-level ``names``."""
    return [(name, module) for name, module in sys.modules.items() if _top(name) in names]


def _top_level_names(places: Sequence[str]) -> set[str]:
    """Modules and packages in the folders ``places``, but none that Python itself has.

    Folders without __init__.py are packages where nothing else has the name.
    """
    found = {module.name for module in pkgutil.iter_modules(places)}
    folders = (entry.name for place in places for entry in Path(place).iterdir() if entry.is_dir())
    found |= {name for name in folders if name.isidentifier() and _is_free(name)}
    return found - sys.stdlib_module_names


def _is_free(name: str) -> bool:
    return name not in sys.modules or getattr(sys.modules[name], "__file__", None) is None


def _from(module: ModuleType, places: Sequence[str]) -> bool:
    files = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(Path(file).resolve().is_relative_to(place) for file in files if file for place in places)
