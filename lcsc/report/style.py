"""The one style of all figures: a colour, marker and dash for each method, the same everywhere.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; methods differ by marker
and dash too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE_FILE = Path(__file__).with_name("lcsc.mplstyle")
LABEL_WIDTH = 32  # characters of a name in a figure
# As lcsc.tuning.tuned labels them.
TUNED = re.compile(r"(?:LCSC \((.+)\), )?[Ff]ine-tuned( with the span)? \(rate ([^,()]+), \d+ gradients?\)")
INK, MUTED, HAIRLINE = "#1f2328", "#4b5563", "#9ca3af"


@dataclass(frozen=True)
class Look:
    """How a method is drawn; ``dash`` is a line style of matplotlib."""

    colour: str
    marker: str
    dash: str | tuple[int, tuple[float, ...]]


BASELINE_LOOKS: Mapping[str, Look] = {
    "last": Look("#6b7280", "s", (0, (1.0, 1.4))),
    "single": Look("#a8a29e", "v", (0, (3.0, 1.4))),
    "uniform": Look("#56b4e9", "P", (0, (5.0, 1.4))),
    "ema": Look("#0072b2", "o", (0, (5.0, 1.8))),
    "window": Look("#7fa8c9", "p", (0, (5.0, 1.0, 1.0, 1.0))),
    "post-hoc": Look("#3a5a9b", "H", (0, (3.0, 1.0, 1.0, 1.0))),
    "decayed": Look("#e69f00", "D", (0, (4.0, 1.4, 1.0, 1.4))),
    "continued": Look("#c77c02", "d", (0, (6.0, 1.4, 1.0, 1.4))),
    "tuned": Look("#b58900", "*", (0, (2.0, 1.0, 0.6, 1.0))),
    "tuned-search": Look("#7a5c00", "p", (0, (2.0, 1.0))),
    "tuned-span": Look("#4f6d00", "h", (0, (2.0, 1.0, 1.0, 1.0))),
}
# The first look belongs to the first search of a run, which is the paper's wherever that is searched.
SEARCH_LOOKS: Sequence[Look] = (
    Look("#d55e00", "o", "-"),
    Look("#009e73", "^", "-"),
    Look("#cc79a7", "X", "-"),
    Look("#8b5e00", "<", "-"),
    Look("#5b3fa6", ">", "-"),
    Look("#882255", "v", "-"),
    Look("#44aa99", "s", "-"),
    Look("#999933", "D", "-"),
    Look("#e7298a", "P", "-"),
    Look("#b2182b", "8", "-"),
    Look("#1b7837", "p", "-"),
    Look("#2c3e94", "d", "-"),
)
# Methods, and the searches of config/ by the names they have there.
_KNOWN: tuple[str, ...] = ("evolution", "gradient", "gradient-tensor", "gradient-pixels", "gradient-slices")
_KNOWN += ("cma-es", "random", "greedy-soup", "gradient-block")
METHOD_PLACES: Mapping[str, int] = {name: place for place, name in enumerate(_KNOWN)}
FALLBACK = Look("#374151", "h", "-")


def looks(names: Sequence[str]) -> dict[str, Look]:
    """The look of each method; a baseline's and a known search's never depend on what else is shown."""
    found = {name: BASELINE_LOOKS[name] for name in names if name in BASELINE_LOOKS}
    found |= {name: SEARCH_LOOKS[METHOD_PLACES[name]] for name in names if name in METHOD_PLACES}
    free = [look for look in SEARCH_LOOKS if look not in found.values()]
    for name in names:
        if name not in found:
            found[name] = free.pop(0) if free else FALLBACK
    return found


def fit(label: str, width: int = LABEL_WIDTH) -> str:
    """``label`` cut to ``width`` characters, so that a long name leaves room for the figure."""
    return label if len(label) <= width else f"{label[: width - 1]}…"


def brief(label: str) -> str:
    """A fine-tuning's label without what takes room: ``Fine-tuned + span 5e-4``; any other label as it is."""
    found = TUNED.fullmatch(label)
    if found is None:
        return label
    search, span, rate = found.groups()
    how = f"{' + span' if span else ''} {rate}"
    return f"{search}, tuned{how}" if search else f"Fine-tuned{how}"


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's own defaults and our style within the block, whatever the user's settings are."""
    import matplotlib as mpl
    import matplotlib.style

    with mpl.style.context(["default", str(STYLE_FILE)]):
        yield


def new_figure(width: float | None = None, height: float | None = None) -> Figure:
    """An empty figure of ``width`` x ``height`` inches, drawn by Agg or as SVG without any window."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    size = mpl.rcParams["figure.figsize"]
    return Figure(figsize=(width or size[0], height or size[1]), layout="constrained")


def add_legend(figure: Figure, axes: Axes, columns: int) -> None:
    """A legend of what ``axes`` shows below all panels, in as many ``columns`` as the figure is wide enough for."""
    handles, labels = axes.get_legend_handles_labels()
    for count in range(min(columns, len(labels)), 0, -1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=count)
        if count == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()
