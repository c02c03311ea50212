"""Merged checkpoints in the container of the run's own files, with the recipe that makes them again."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.checkpoints.registry import format_of
from lcsc.checkpoints.writers import write_container
from lcsc.errors import InputError
from lcsc.files import canonical_json, read_json, write_json
from lcsc.groups import make_groups
from lcsc.refusals import inside

logger = logging.getLogger("lcsc")

RECIPE_KEY = "lcsc_recipe"
SAFETENSORS = ".safetensors"
_KEYS = ("bank", "checkpoints", "coefficients", "container", "groups", "track")
_RECORD_KEYS = ("format", "format_version", "lcsc_version")

Recipe = dict[str, Any]


def export_merged(
    bank: Bank,
    coefficients: NDArray[np.float64],
    groups_kind: str | Sequence[str] = "all",
    *,
    output: Path | str,
    native: Path | str | None = None,
    recipe_extra: Mapping[str, Any] | None = None,
    template: Path | None = None,
) -> Recipe:
    """Write the checkpoint that ``coefficients`` [G, K] make, under the names and dtypes of the source files.

    The container is that of the bank's sources, or of the file ``template``; an ``output`` that ends in
    ``.safetensors`` is such a file in any case. In the folder ``native`` the same weights are written in the
    sources' container and under the last one's name. ``recipe_extra`` (JSON values, such as the protocol) is kept in
    the recipe under "extra". The recipe stands in the file's metadata where its format has any, else beside it as
    ``<output>.recipe.json``. Returns the recipe.
    """
    values = np.asarray(coefficients, np.float64)
    if values.ndim != 2:
        raise InputError(f"coefficients: found shape {list(values.shape)}, expected [groups, {bank.K} checkpoints]")
    recipe: Recipe = {
        "bank": bank.identity,
        "checkpoints": [{"step": c.step, "source": c.source, "sha256": c.sha256} for c in bank.checkpoints],
        "coefficients": values.tolist(),
        "groups": groups_kind if isinstance(groups_kind, str) else list(groups_kind),
        "track": bank.track,
        "container": _container(bank, template),
        "extra": dict(recipe_extra or {}),
    }
    outputs = [Path(output)]
    if native is not None:
        name = recipe["container"].get("name", recipe["checkpoints"][-1]["source"])
        outputs.append(inside(Path(native), str(name), str(bank.path)))
        _log_what_is_dropped(recipe)
    for place in outputs:
        merge_from_recipe(recipe, bank, place)
    return recipe


def _log_what_is_dropped(recipe: Mapping[str, Any]) -> None:
    if dropped := recipe["container"].get("dropped"):
        logger.info("searched on the track %s; not in the merged file: %s", recipe["track"], ", ".join(dropped))


def merge_from_recipe(
    recipe: Mapping[str, Any], bank: Bank, output: Path | str, source: Path | str | None = None
) -> None:
    """Make the checkpoint of ``recipe`` from ``bank``: byte for byte the file that was exported.

    Some containers take what is no weight from a file of the run; ``source`` is the run's folder where that was
    moved. Raises :class:`InputError` where the bank is another one than the recipe's, or that file another.
    """
    output = Path(output)
    if recipe["bank"] != bank.identity:
        raise InputError(
            f"{bank.path}: found bank {bank.identity[:16]}, expected {recipe['bank'][:16]} as in the recipe; "
            "collect the checkpoints that the recipe names"
        )
    container = recipe["container"]
    groups = make_groups(bank.tensors, recipe["groups"])
    merged = combine(bank, np.array([recipe["coefficients"]], np.float64), groups)[0]
    tensors = bank.restore_names(bank.unflatten(merged))
    metadata = {"step": str(bank.steps[-1]), RECIPE_KEY: canonical_json(recipe)}
    if output.suffix == SAFETENSORS and container["format"] != "safetensors":
        container = {"format": "safetensors"}
    if container["format"] != "safetensors":
        write_recipe(recipe, recipe_beside(output))
    write_container(container, output, tensors, metadata, source)


def recipe_beside(path: Path) -> Path:
    """Where the recipe of ``path`` stands if its format has no metadata."""
    return path.with_name(f"{path.name}.recipe.json")


def write_recipe(recipe: Mapping[str, Any], path: Path | str) -> None:
    """Write ``recipe`` as a JSON file of its own."""
    write_json(path, recipe, kind="recipe")


def read_recipe(path: Path | str) -> Recipe:
    """The recipe in a merged checkpoint, beside it, or in a recipe file."""
    path = Path(path)
    if path.is_dir() and recipe_beside(path).is_file():
        path = recipe_beside(path)
    if not path.is_file():
        raise InputError(f"{path}: not found; expected a merged checkpoint or its recipe")
    recipe = _from_json(path) if path.suffix == ".json" else _from_checkpoint(path)
    missing = [key for key in _KEYS if key not in recipe]
    if missing:
        raise InputError(f"{path}: the recipe lacks {missing[0]!r}; give a file that 'lcsc export' made")
    return recipe


def _from_json(path: Path) -> Recipe:
    record = read_json(path, kind="recipe")
    return {key: value for key, value in record.items() if key not in _RECORD_KEYS}


def _from_checkpoint(path: Path) -> Recipe:
    text = format_of(path).metadata_of(path).get(RECIPE_KEY)
    if text is None:
        beside = recipe_beside(path)
        if beside.is_file():
            return _from_json(beside)
        raise InputError(f"{path}: found no recipe in it or beside it; expected a file that 'lcsc export' made")
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: metadata {RECIPE_KEY!r} is not the JSON of a recipe; export it again") from error


def _container(bank: Bank, template: Path | None) -> dict[str, Any]:
    container = {"format": "safetensors", "state_key": None, "metadata": {}, **bank.container}
    if template is not None:
        found = format_of(template).name
        if found != container["format"]:
            container = {"format": found, "state_key": None, "metadata": {}}
    return container
