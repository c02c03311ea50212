"""Reads the records that a report is made from, with checks that name the file and the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.report.fields import Fields
from lcsc.report.measures import Limit, Measure, one_block_spread
from lcsc.report.reading_guards import read_copies, read_gain, read_guard, read_guarding
from lcsc.report.records import (
    Baseline,
    Baselines,
    Candidate,
    Column,
    Evaluation,
    Generation,
    Guard,
    Hindsight,
    Method,
    Rows,
    Searched,
    Selection,
    Timing,
)


def read_evaluation(path: Path) -> Evaluation:
    """Read the record of the final evaluation; :class:`InputError` where it is not in order."""
    fields = Fields(path, read_json(path, kind="evaluation"))
    steps = fields.wholes("steps")
    columns = tuple(_column(item) for item in fields.children("columns"))
    if not columns:
        fields.refuse("columns", [], "at least one column")
    keys = [column.key for column in columns]
    extractors = list(dict.fromkeys(column.extractor for column in columns))
    methods = tuple(_method(item, keys, extractors, len(steps)) for item in fields.children("methods"))
    names = [method.name for method in methods]
    if len(set(names)) != len(names) or "last" not in names or "ema" not in names:
        fields.refuse("methods", names, "different names with 'last' and 'ema' among them")
    hindsight = fields.child("hindsight")
    protocols = fields.child("protocols")
    return Evaluation(
        run=fields.text("run"),
        version=fields.text("lcsc_version"),
        images=fields.whole("images"),
        blocks=fields.whole("blocks"),
        protocols={key: protocols.text(key) for key in protocols},
        protocol_words=fields.texts("protocol_words"),
        steps=steps,
        columns=columns,
        methods=methods,
        hindsight={key: _hindsight(hindsight.child(key), key, methods) for key in keys if key in hindsight},
        neighbours_of_real=_numbers(fields.child("neighbours_of_real")),
        guards=read_guarding(fields.child("guards"), extractors),
    )


def _column(fields: Fields) -> Column:
    return Column(
        key=fields.text("key"),
        extractor=fields.text("extractor"),
        part=fields.text("part"),
        searched=fields.flag("searched"),
        label=fields.text("label"),
        floor=fields.number("floor"),
        measure=fields.text("measure") if "measure" in fields else "",
    )


def _method(fields: Fields, keys: Sequence[str], extractors: Sequence[str], checkpoints: int) -> Method:
    columns, neighbours, guarded = (fields.child(key) for key in ("columns", "neighbours", "guards"))
    guards = {name: read_guard(guarded.child(name), real=False) for name in extractors}
    return Method(
        name=fields.text("name"),
        label=fields.text("label"),
        family=fields.text("family"),
        coefficients=_coefficients(fields.child("weights"), checkpoints),
        columns={key: _one_block(_measure(columns.child(key)), key, guards) for key in keys},
        neighbours={part: neighbours.child(part).number("mean") for part in neighbours},
        copies=read_copies(fields.child("copies")),
        guards=guards,
        gain=read_gain(fields, keys),
        searched=_searched(fields),
    )


def _searched(fields: Fields) -> Searched | None:
    if "searched_extractor" not in fields or fields.raw("searched_extractor") is None:
        return None
    found = fields.child("searched_extractor")
    return Searched(found.text("name"), found.text("words"), found.text("measure") if "measure" in found else "")


def _hindsight(fields: Fields, key: str, methods: Sequence[Method]) -> Hindsight:
    """It has no jackknife of its own; where it is the EMA that was chosen, that one's spread is known."""
    measure = _measure(fields)
    same = [method.columns[key] for method in methods if method.columns[key].values == measure.values]
    return Hindsight(label=fields.text("label"), measure=same[0] if same else measure)


def _measure(fields: Fields) -> Measure:
    limit = None
    if "limit" in fields:
        far, half = fields.child("limit"), fields.child("half")
        limit = Limit(far.number("mean"), far.number("spread"), half.whole("images"), half.number("mean"))
    return Measure(fields.numbers("values"), fields.number("mean"), fields.number("spread"), limit)


def _one_block(measure: Measure, key: str, guards: Mapping[str, Guard]) -> Measure:
    extractor, _, part = key.rpartition("/")
    jackknife = guards[extractor].jackknife.get(part) if extractor in guards else None
    return replace(measure, spread=one_block_spread(measure.spread, jackknife))


def _numbers(fields: Fields) -> dict[str, float]:
    return {key: fields.number(key) for key in fields}


def _coefficients(weights: Fields, checkpoints: int | None) -> Rows | None:
    kind = weights.text("kind")
    if kind not in ("coefficients", "file", "mixture"):
        weights.refuse("kind", kind, "'coefficients', 'file' or 'mixture'")
    return weights.matrix("coefficients", checkpoints) if kind == "coefficients" else None


def read_baselines(path: Path) -> Baselines:
    """Read the record of the baselines; :class:`InputError` where it is not in order."""
    fields = Fields(path, read_json(path, kind="baselines"))
    chosen = fields.child("chosen")
    return Baselines(
        images=fields.whole("images"),
        entries=tuple(_baseline(item) for item in fields.children("entries")),
        chosen={family: chosen.text(family) for family in chosen if chosen.raw(family) is not None},
    )


def _baseline(fields: Fields) -> Baseline:
    return Baseline(
        name=fields.text("name"),
        family=fields.text("family"),
        label=fields.text("label"),
        coefficients=_coefficients(fields.child("weights"), None),
        score=fields.number_or_none("score"),
    )


def read_selection(path: Path, checkpoints: int) -> Selection:
    """Read what a search over ``checkpoints`` checkpoints ended with."""
    fields = Fields(path, read_json(path, kind="selection"))
    finalists, chosen = fields.children("finalists"), fields.whole("chosen")
    if chosen >= len(finalists):
        fields.refuse("chosen", chosen, f"the place of one of {len(finalists)} finalists")
    return Selection(
        search=fields.text("search"),
        method=fields.text("method"),
        coefficients=finalists[chosen].matrix("coefficients", checkpoints),
        selection_score=finalists[chosen].number_or_none("selection_score"),
        evaluations=fields.whole("evaluations"),
        searched=_searched(fields),
        groups=_groups(fields),
    )


def _groups(fields: Fields) -> str | tuple[str, ...]:
    """The kind of parameter groups: a word or patterns; "all" in records without it."""
    found = fields.raw("groups") if "groups" in fields else "all"
    return found if isinstance(found, str) else fields.texts("groups")


def read_generations(paths: Sequence[Path], checkpoints: int) -> dict[str, tuple[Generation, ...]]:
    """Read the generations of all searches, in order, by the search's name.

    Generations that only repeat the one at which a search stopped early are left out.
    """
    found: dict[str, dict[int, Generation]] = {}
    for path in paths:
        generation = _generation(path, checkpoints)
        numbers = found.setdefault(generation.search, {})
        if generation.number in numbers:
            raise InputError(
                f"{path}: generation {generation.number} of search {generation.search!r} was given before, "
                "expected each generation once; give the files of one run"
            )
        numbers[generation.number] = generation
    return {
        search: tuple(numbers[n] for n in sorted(numbers) if not numbers[n].stopped)
        for search, numbers in found.items()
    }


def _generation(path: Path, checkpoints: int) -> Generation:
    fields = Fields(path, read_json(path, kind="generation"))
    candidates = fields.children("candidates")
    for candidate in candidates[:1]:
        candidate.matrix("coefficients", checkpoints)
    scored = [candidate for candidate in candidates if "raced" not in candidate]  # raced out: neither score nor failure
    return Generation(
        search=fields.text("search"),
        number=fields.whole("generation"),
        candidates=tuple(_candidate(candidate) for candidate in scored),
        stopped=fields.flag("stopped"),
    )


def _candidate(fields: Fields) -> Candidate:
    fresh = "noise" in fields and fields.whole("noise") > 0
    return Candidate(fields.number_or_none("score"), fields.text("origin"), fresh)


def read_timing(path: Path) -> Timing:
    """Read what one job of a step cost."""
    fields = Fields(path, read_json(path, kind="timing"))
    return Timing(
        step=fields.text("step"),
        seconds=fields.number("seconds"),
        evaluations=int(fields.number_or_none("evaluations") or 0),
        images=int(fields.number_or_none("images") or 0),
        peak_memory_mb=fields.number_or_none("peak_memory_mb"),
        device=fields.text("device"),
        workers=max(1, int((fields.number_or_none("workers") if "workers" in fields else None) or 1)),
    )
