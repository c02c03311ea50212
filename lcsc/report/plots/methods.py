"""The plot of the result: each method's distance with its spread, by extractor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lcsc.report.drawing import Plot
from lcsc.report.headline import BASE, HELD_OUT, compare_to_base
from lcsc.report.numbers import fixed, ratio
from lcsc.report.plots import brief_number
from lcsc.report.records import Column, Evaluation, Method
from lcsc.report.searched import column_mark
from lcsc.report.style import Look, brief


def plot(evaluation: Evaluation, columns: Sequence[Column], looks: Mapping[str, Look]) -> Plot:
    """The methods of a run by ``columns``, in the order of the result table."""
    return Plot(
        "methods",
        {
            "unit": "Fréchet distance",
            "columns": [_column(column, evaluation, looks) for column in columns],
            "methods": [
                {
                    "label": brief(method.label),
                    "colour": looks[method.name].colour,
                    "strong": method.family == "search",
                    "values": [_value(method, evaluation, column) for column in columns],
                }
                for method in evaluation.methods
            ],
        },
    )


def _column(column: Column, evaluation: Evaluation, looks: Mapping[str, Look]) -> dict[str, Any]:
    return {
        "title": column.distance,
        "note": column_mark(column, evaluation, "seen by no search"),
        "base": brief_number(evaluation.method(BASE).columns[column.key].mean),
        "baseColour": looks[BASE].colour,
        "floor": brief_number(column.floor) if column.part == HELD_OUT else None,
    }


def _value(method: Method, evaluation: Evaluation, column: Column) -> dict[str, Any]:
    measure, decimals = method.columns[column.key], evaluation.decimals
    mean, times = fixed(measure.mean, decimals), ratio(compare_to_base(method, evaluation, column))
    return {
        "mean": brief_number(measure.mean),
        "spread": brief_number(measure.spread),
        "ratio": times,
        "short": f"{mean}  ({times})",
        "words": f"{column.distance} {mean} ± {fixed(measure.spread, decimals)}, {times} that of the best EMA",
    }
