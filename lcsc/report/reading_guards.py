"""Reads the guards of an evaluation record; see :mod:`lcsc.guards` and :mod:`lcsc.gain` for what they mean."""

from __future__ import annotations

from collections.abc import Sequence

from lcsc.report.fields import Fields
from lcsc.report.measures import Measure
from lcsc.report.records import Copies, Gain, Guard, Guarding


def read_copies(fields: Fields) -> Copies:
    """Signs of copies of one method."""
    return Copies(fields.number_or_none("ratio"), fields.number("share"), fields.number("expected"))


def read_guard(fields: Fields, *, real: bool) -> Guard:
    """The guards by one extractor, of a method or of real images, which have fewer."""
    kd = fields.child("kd")
    parts = ("held-out",) if real else ("held-out", "train")
    return Guard(
        kd={part: Measure((), kd.child(part).number("mean"), kd.child(part).number("spread")) for part in parts},
        precision=fields.number("precision"),
        recall=fields.number("recall"),
        density=fields.number("density"),
        coverage=fields.number("coverage"),
        jackknife={} if real else _jackknife(fields.child("jackknife")),
        inception_score=_inception_score(fields),
    )


def _inception_score(fields: Fields) -> Measure | None:
    if "inception_score" not in set(fields):
        return None
    score = fields.child("inception_score")
    return Measure((), score.number("mean"), score.number("spread"))


def _jackknife(fields: Fields) -> dict[str, float | None]:
    return {part: None if fields.raw(part) is None else fields.child(part).number("spread") for part in fields}


def read_guarding(fields: Fields, extractors: Sequence[str]) -> Guarding:
    """How the guards were made, and those of real images by each of ``extractors``."""
    real = fields.child("real")
    return Guarding(
        neighbours=fields.whole("neighbours"),
        images=fields.whole("images"),
        pieces=fields.whole("pieces"),
        kd_images=fields.whole("kd_images"),
        kd_subsets=fields.whole("kd_subsets"),
        real={name: read_guard(real.child(name), real=True) for name in extractors},
    )


def read_gain(fields: Fields, keys: Sequence[str]) -> Gain | None:
    """The gain of a method whose record is ``fields``, in columns out of ``keys``; None for one without."""
    if fields.raw("gain") is None:
        return None
    gain = fields.child("gain")
    column = gain.text("column")
    if column not in keys:
        gain.refuse("column", column, f"one of {list(keys)}")
    return Gain(gain.number("searched"), gain.number("held_out"), column, gain.number_or_none("kept"))
