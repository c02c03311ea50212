"""What fixes the result of each step: the part of the configuration whose change makes it run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lcsc.config.figures import figure_settings
from lcsc.config.ids import data_id, data_settings, extractor_id, extractor_settings
from lcsc.config.kinds import DISTILLATION
from lcsc.errors import InputError

Section = Mapping[str, Any]
# Keys of a search that change neither its candidates nor their scores.
_EXTENT = ("generations", "generations_per_round", "finalists", "shards")
# Keys of a search that stand elsewhere in its settings: the extractor by its id, and the number of images.
_NAMED = ("extractor", "images")
# Into how many jobs a generation can be cut, and the methods whose generations are cut twice: first for the features
# of all images, then for the gradient. Known here, since the workflow imports nothing heavy.
SHARD_COUNTS = (1, 2, 4, 8, 16)
GRADIENT_METHODS = ("gradient",)
# The published files of Inception's weights, by mode.
TORCHSCRIPT, PYTORCH_FID = "inception-2015-12-05.pt", "pt_inception-2015-12-05-6726825d.pth"
INCEPTION_WEIGHTS = {"clean": TORCHSCRIPT, "legacy_pytorch": PYTORCH_FID, "legacy_tensorflow": TORCHSCRIPT}


def searched_name(section: Section, entry: Section | None = None) -> str:
    """The extractor whose distance a search or fine-tuning ``entry`` of a run lowers; without it, the run's own."""
    return str((entry or {}).get("extractor") or section["extractors"]["search"])


def further_searched(section: Section) -> list[str]:
    """The extractors that searches and fine-tunings of a run lower the distance of, besides the run's own."""
    entries = [*section["searches"].values(), *(section["fine_tune"] or {}).values()]
    names = dict.fromkeys(searched_name(section, entry) for entry in entries)
    return [name for name in names if name != searched_name(section)]


def rounds(search: Section) -> list[tuple[int, int]]:
    """The rounds of a search as (first generation, number of generations).

    Rounds start at multiples of ``generations_per_round`` whatever the total, so that a longer search has all
    full rounds of a shorter one. Generations in shards are rounds of their own.
    """
    total, size = search["generations"], 1 if shards(search) > 1 else search["generations_per_round"]
    return [(first, min(size, total - first)) for first in range(0, total, size)]


def shards(search: Section) -> int:
    """Into how many jobs each generation of a search is cut."""
    return int(search.get("shards", 1))


def stages(search: Section) -> tuple[str, ...]:
    """The stages of a generation in shards, in order."""
    return ("forward", "backward") if search["method"] in GRADIENT_METHODS else ("forward",)


def step_settings(config: Section, run: str | None, step: str, *, name: str | None = None) -> dict[str, Any]:
    """What fixes the result of ``step``, as JSON can hold it.

    ``config`` is resolved. ``run`` names the run, for every step but ``data``, ``extractor`` and ``figures``; ``name``
    names the set of images, the extractor (``reference`` too), the search (``select``, ``trace``) or the landscape.
    """
    if step == "data":
        return data_settings(config, _known(name, config["data"], "data"))
    if step == "extractor":
        return extractor_settings(config, _known(name, config["extractors"], "extractors"))
    if step == "figures":
        return figure_settings(config)
    if step not in _OF_RUNS:
        raise InputError(f"step: found {step!r}, expected one of {', '.join(STEPS)}")
    section = config["runs"][_known(run or "", config["runs"], "runs")]
    return _OF_RUNS[step](config, str(run), section, name)


def _known(name: str | None, known: Section, what: str) -> str:
    if name is None:
        raise InputError(f"{what}: found no name, expected one of {', '.join(known)}; give it with --name")
    if name not in known:
        raise InputError(f"{what}: found {name!r}, expected one of {', '.join(known)}; give a name that is there")
    return name


def _reference(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    published = (config["data"][section["data"]]["statistics"] or {}).get(name)
    return {
        "data_id": data_id(config, section["data"]),
        "extractor_id": extractor_id(config, _known(name, config["extractors"], "extractors")),
        "threads": config["threads"],
        **({"statistics": published} if published else {}),
    }


def _require_training(run: str, section: Section) -> None:
    if "train" not in section:
        raise InputError(f"runs.{run}.train: found nothing, expected a training; this run has checkpoints of its own")


def _train(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    _require_training(run, section)
    found = _continue(config, run, section, name)
    # How far the training goes on afterwards does not change it.
    return {**found, "train": {key: value for key, value in found["train"].items() if key != "continue"}}


def _continue(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    _require_training(run, section)
    own = {key: value for key, value in section["train"].items() if key != "decayed"}  # a twin changes neither
    if own["recipe"] != DISTILLATION:
        own = {key: value for key, value in own.items() if key not in ("teacher", "target_rate")}
    network = {key: value for key, value in section["network"].items() if key != "autocast"}  # for samples alone
    shared = {"network": network, "preconditioning": section["preconditioning"]}
    return {**shared, "train": own, "threads": config["threads"]}


def _collect(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    given = section.get("checkpoints", {"pattern": "*.safetensors", **section.get("window", {})})
    settings = {key: given.get(key) for key in ("pattern", "state_key", "from_step", "to_step")}
    # What came later stands here only where it is asked for: older banks stay as they are.
    usual: Section = {"format": "auto", "track": None, "every": None, "count": None, "storage": "float32"}
    usual = {**usual, "trust_pickle": False, "python_path": []}
    return settings | {key: given[key] for key, default in usual.items() if given.get(key, default) != default}


def _scoring(config: Section, section: Section) -> dict[str, Any]:
    """What every score depends on, besides its images and their noise."""
    evaluation = {key: section["evaluation"][key] for key in ("seed", "chunk", "candidates_per_block")}
    return {**_generator(section), "evaluation": evaluation, "threads": config["threads"]}


def _generator(section: Section) -> dict[str, Any]:
    """The sections that say how samples are made."""
    if "generator" in section:
        return {"generator": section["generator"]}
    found = {key: section[key] for key in ("network", "preconditioning", "sampler")}
    if found["network"].get("autocast", "") is None:  # the same as no such key
        found["network"] = {key: value for key, value in found["network"].items() if key != "autocast"}
    return found


def _searched_extractor(config: Section, section: Section, entry: Section | None = None) -> str:
    return extractor_id(config, searched_name(section, entry))


def _baselines(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    return {
        **_scoring(config, section),
        "images": section["evaluation"]["selection"]["images"],
        "baselines": section["baselines"],
        "extractor": _searched_extractor(config, section),
    }


def _search(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    entry = section["searches"][_known(name, section["searches"], f"runs.{run}.searches")]
    return {
        **_scoring(config, section),
        "images": entry["images"] or section["evaluation"]["search"]["images"],
        "search": {key: value for key, value in entry.items() if key not in (*_EXTENT, *_NAMED)},
        "name": name,
        "extractor": _searched_extractor(config, section, entry),
    }


def _tune(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    known = section["fine_tune"] or {}
    entry = known[_known(name, known, f"runs.{run}.fine_tune")]
    searched = section["evaluation"]["search"]["images"]
    return {
        **_scoring(config, section),
        "images": entry["images"] or max(2, searched // 2),
        "search_images": searched,
        "tune": {key: value for key, value in entry.items() if key not in ("images", *_NAMED)},
        "name": name,
        "extractor": _searched_extractor(config, section, entry),
    }


def _select(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    entry = section["searches"][_known(name, section["searches"], f"runs.{run}.searches")]
    return {
        **_scoring(config, section),
        "images": section["evaluation"]["selection"]["images"],
        "finalists": entry["finalists"],
        "name": name,
        "extractor": _searched_extractor(config, section),
    }


def _evaluate(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    further = [extractor_id(config, name) for name in further_searched(section)]
    return {
        **_scoring(config, section),
        "run": run,
        **section["evaluation"]["report"],
        "extractors": {role: extractor_id(config, name) for role, name in section["extractors"].items()},
        **({"searched": further} if further else {}),
    }


def _trace(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    known = {**(section["fine_tune"] or {}), **section["searches"]}
    own = known[_known(name, known, f"runs.{run}.searches and fine_tune")]
    evaluation = section["evaluation"]
    unit = evaluation["search"]["images"]
    return {
        **_scoring(config, section),
        "run": run,
        "name": name,
        "points": evaluation["trace"]["points"],
        "images": evaluation["trace"]["images"] or evaluation["report"]["images"],
        "unit": unit,
        "search_images": own["images"] or unit,
        "extractors": {role: extractor_id(config, name) for role, name in section["extractors"].items()},
    }


def _landscape(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    entry = section["landscapes"][_known(name, section["landscapes"], f"runs.{run}.landscapes")]
    return {
        **_scoring(config, section),
        "run": run,
        "name": name,
        "images": entry["images"],
        "landscape": {key: value for key, value in entry.items() if key != "images"},
        "extractors": {role: extractor_id(config, name) for role, name in section["extractors"].items()},
    }


def _named(config: Section, run: str, section: Section, name: str | None) -> dict[str, Any]:
    return {"run": run}


_OF_RUNS: dict[str, Callable[[Section, str, Section, str | None], dict[str, Any]]] = {
    "reference": _reference,
    "train": _train,
    "continue": _continue,
    "collect": _collect,
    "baselines": _baselines,
    "search": _search,
    "tune": _tune,
    "select": _select,
    "evaluate": _evaluate,
    "trace": _trace,
    "landscape": _landscape,
    "export": _named,
    "report": _named,
}
STEPS = ("data", "extractor", "figures", *_OF_RUNS)
