"""What runs that share a training must have in common, and which of its checkpoints one of them takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.problems import Problem

Section = Mapping[str, Any]
_SHARED = ("data", "network", "preconditioning", "train")


def sharing_problems(place: tuple[str, ...], run: Section, runs: Section) -> Iterator[Problem]:
    """Of the run at ``place``: a training that is not there, or one that would be another for this run."""
    owner = run.get("training_of")
    if owner is None:
        return
    at = (*place, "training_of")
    other = runs.get(owner, {})
    if owner == place[-1] or "training_of" in other or "train" not in other:
        known = [name for name, entry in runs.items() if "train" in entry and "training_of" not in entry]
        yield Problem(at, repr(owner), f"a run with a 'train' of its own: {', '.join(known) or 'none is there'}")
        return
    for key in _SHARED:
        if run.get(key) != other.get(key):
            way_out = f"remove {key!r} here, or give this run a 'train' of its own"
            yield Problem(at, f"{owner!r}, whose {key} is another", f"the same {key}", way_out)


def window_problems(place: tuple[str, ...], window: Section) -> Iterator[Problem]:
    """Limits the wrong way round, in ``checkpoints`` or the ``window`` of a training of the workflow."""
    first, last = window.get("from_step"), window.get("to_step")
    if first is not None and last is not None and first >= last:
        yield Problem((*place, "from_step"), str(first), f"a step below to_step ({last})")
