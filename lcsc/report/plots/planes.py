"""The plot of landscapes: distances over a plane, with marks for what training and searches gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lcsc.report.drawing import Plot
from lcsc.report.numbers import fixed
from lcsc.report.plots import brief_number
from lcsc.report.style import Look

CORNERS = ("θ₀", "θ₁", "θ₂")
Record = Mapping[str, Any]


def plot(
    planes: Sequence[tuple[str, Record]],
    columns: Sequence[tuple[str, str, str]],
    looks: Mapping[str, Look],
    levels: Mapping[str, Sequence[float]],
) -> Plot:
    """``planes``: title and record of each; ``columns``: key, distance and role; ``levels`` of contours by key."""
    return Plot(
        "landscape",
        {
            "columns": [
                {"title": distance, "note": role, **_range([r for _, r in planes], key), "lines": list(levels[key])}
                for key, distance, role in columns
            ],
            "landscapes": [_plane(title, record, [key for key, _, _ in columns], looks) for title, record in planes],
        },
    )


def _range(records: Sequence[Record], key: str) -> dict[str, float | None]:
    known = [value for record in records for row in record["distances"][key] for value in row if value is not None]
    positive = [value for value in known if value > 0]
    return {"low": brief_number(min(positive)), "high": brief_number(max(positive))}


def _plane(title: str, record: Record, keys: Sequence[str], looks: Mapping[str, Look]) -> dict[str, Any]:
    xs, ys = record["xs"], record["ys"]
    places = zip(CORNERS, ((0, 0), (1, 0), (0, 1)), record["corners"], strict=True)
    return {
        "label": title,
        "note": f"{record['angle']:.0f}° between the axes, grid {xs[1] - xs[0]:.3g} apart",
        "xs": [brief_number(x) for x in xs],
        "ys": [brief_number(y) for y in ys],
        "values": [[brief_number(v) for row in record["distances"][key] for v in row] for key in keys],
        "corners": [{"name": name, "x": x, "y": y, "step": corner["step"]} for name, (x, y), corner in places],
        "marks": [_mark(mark, record, keys, looks[mark["name"]]) for mark in record["marks"]],
    }


def _mark(mark: Record, record: Record, keys: Sequence[str], look: Look) -> dict[str, Any]:
    """A mark where it stands, or at the frame where that is beyond it."""
    x = min(max(mark["x"], record["xs"][0]), record["xs"][-1])
    y = min(max(mark["y"], record["ys"][0]), record["ys"][-1])
    beyond = (x, y) != (mark["x"], mark["y"])
    words = f"at x {fixed(mark['x'], 2)}, y {fixed(mark['y'], 2)}, {mark['residual']:.0%} off the plane"
    return {
        "label": mark["label"],
        "colour": look.colour,
        "x": brief_number(x),
        "y": brief_number(y),
        "beyond": beyond,
        "words": f"{words}, beyond the frame" if beyond else words,
        "values": [brief_number(mark["distances"][key]) for key in keys],
    }
