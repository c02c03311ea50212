"""Which extractors were searched, in words that stay true where searches have an extractor of their own.

The extractor of the columns that are marked as searched chose among the finalists of all methods, so its distance is
never evidence. Whether it was searched too depends on the searches: all of them may have lowered another distance.
"""

from __future__ import annotations

from collections.abc import Sequence

from lcsc.report.records import Column, Evaluation, Method, Searched, Selection

ALL, SOME, NONE = "searched", "searched by some", "chose finalists"
LOWERED = ("search", "tuned")  # how the families begin that lowered a distance
_WHO = {
    ALL: "the extractor that was searched",
    SOME: "the extractor that chose among finalists, and that some methods searched",
    NONE: "the extractor that chose among finalists",
}


def own_extractor(found: Method | Selection, evaluation: Evaluation) -> Searched | None:
    """The extractor whose distance a method lowered where it is another than the one that chose."""
    return None if found.searched is None or found.searched.name == evaluation.searched_extractor else found.searched


def mark(evaluation: Evaluation) -> str:
    """What the extractor of the marked columns did, in a word or two."""
    lowered = [method for method in evaluation.methods if method.family.startswith(LOWERED)]
    others = [method for method in lowered if own_extractor(method, evaluation) is not None]
    return SOME if 0 < len(others) < len(lowered) else NONE if others else ALL


def no_evidence(marks: Sequence[str]) -> str:
    """The note on marked columns, whose marks in one or several runs are ``marks``."""
    who = _WHO[marks[0]] if len(set(marks)) == 1 else _WHO[SOME]
    return f"{who}: its distance alone is no evidence"


def column_mark(column: Column, evaluation: Evaluation, otherwise: str) -> str:
    """The mark of a column; ``otherwise`` for that of an extractor which nothing used before."""
    return mark(evaluation) if column.searched else otherwise


def own_notes(evaluation: Evaluation) -> tuple[str, ...]:
    """A sentence for each extractor that methods searched and no column shows."""
    who: dict[str, list[str]] = {}
    for method in evaluation.methods:
        if (found := own_extractor(method, evaluation)) is not None:
            who.setdefault(found.distance, []).append(method.label)
    chose = evaluation.choosing_distance
    return tuple(
        f"{distance}, which no column shows, was lowered by {', '.join(labels)}; chosen by {chose}, as all are."
        for distance, labels in who.items()
    )
