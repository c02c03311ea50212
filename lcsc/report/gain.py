"""What a search keeps of its gain where it did not look, in words; see :mod:`lcsc.gain`."""

from __future__ import annotations

from lcsc.report.numbers import fixed
from lcsc.report.records import Evaluation, Method

HALF = 0.5  # a method that keeps less is flagged


def is_flagged(method: Method) -> bool:
    """Whether less than half of what the method gained is there where it did not look."""
    return method.gain is not None and method.gain.kept is not None and method.gain.kept < HALF


def kept_words(method: Method) -> str:
    """What a method with a gain keeps of it, as the end of a sentence."""
    assert method.gain is not None
    kept = method.gain.kept
    if kept is None:
        return "shows no gain on the best EMA that noise does not explain, even by what it searched"
    if kept <= 0:
        return f"keeps nothing of its gain on what it did not see ({fixed(kept, 2)})"
    less = ", less than half" if kept < HALF else ""
    return f"keeps {fixed(kept, 2)} of its gain on what it did not see{less}"


def kept_notes(evaluation: Evaluation, *, flagged_only: bool = False) -> tuple[str, ...]:
    """A sentence for each method that lowered a distance, flagged ones first."""
    methods = [m for m in evaluation.methods if m.gain is not None and (is_flagged(m) or not flagged_only)]
    return tuple(f"{m.label} {kept_words(m)}." for m in sorted(methods, key=lambda m: not is_flagged(m)))
