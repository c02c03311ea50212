"""What the run cost: seconds, evaluations and images of each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lcsc.report.drawing import Data, Drawing
from lcsc.report.numbers import count, duration
from lcsc.report.plots import cost as bars
from lcsc.report.records import Timing
from lcsc.report.style import HAIRLINE, INK, Look, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

NAME = "cost"


@dataclass(frozen=True)
class Cost:
    """The sum over the jobs of a step; memory (MB) is the largest of them."""

    step: str
    jobs: int
    seconds: float
    evaluations: int
    images: int
    peak_memory_mb: float | None
    devices: str


def costs(timings: Sequence[Timing]) -> list[Cost]:
    """The timings summed by step, steps in the order they first come."""
    steps: dict[str, list[Timing]] = {}
    for timing in timings:
        steps.setdefault(timing.step, []).append(timing)
    return [
        Cost(
            step=step,
            jobs=len(jobs),
            seconds=sum(job.seconds for job in jobs),
            evaluations=sum(job.evaluations for job in jobs),
            images=sum(job.images for job in jobs),
            peak_memory_mb=max((j.peak_memory_mb for j in jobs if j.peak_memory_mb is not None), default=None),
            devices=", ".join(sorted({job.device for job in jobs})),
        )
        for step, jobs in steps.items()
    ]


def draw(timings: Sequence[Timing], looks: Mapping[str, Look]) -> Drawing:
    """The figure and its numbers; a step whose name ends with a search's has that search's colour."""
    from matplotlib.ticker import MaxNLocator

    steps = costs(timings)
    figure = new_figure(height=0.9 + 0.3 * max(1, len(steps)))
    axes = figure.add_subplot()
    places = range(len(steps))
    colours = [_colour(cost.step, looks) for cost in steps]
    axes.barh(places, [cost.seconds for cost in steps], color=colours, height=0.66)
    longest = max((cost.seconds for cost in steps), default=1.0)
    for place, cost in zip(places, steps, strict=True):
        axes.text(cost.seconds + 0.012 * longest, place, _words(cost), va="center", fontsize=9, color=INK)
    axes.set_yticks(places, [fit(cost.step) for cost in steps])
    axes.set_xlim(0, 2.3 * longest if longest else 1.0)
    axes.set_xticks([tick for tick in MaxNLocator(5).tick_values(0, longest) if 0 <= tick <= longest])
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Seconds (sum over the step’s jobs)", loc="left")
    axes.spines["bottom"].set_bounds(0, longest)
    total = sum(cost.seconds for cost in steps)
    alt = f"Bars of seconds by step, {duration(total)} together. " + " ".join(
        f"{cost.step}: {_words(cost)}." for cost in steps
    )
    return Drawing(
        name=NAME,
        title="What it cost",
        alt=alt,
        caption=(
            f"{duration(total)} of computing together; jobs run side by side where there are cores. "
            "An evaluation scores one set of weights; with its gradient it costs four to five times as much."
        ),
        svg=svg_text(figure, NAME, alt),
        png=png_bytes(figure),
        plot=bars.plot([(c.step, c.seconds, duration(c.seconds), _words(c), _colour(c.step, looks)) for c in steps]),
        data=_data(steps),
        details=_details(steps),
    )


def _colour(step: str, looks: Mapping[str, Look]) -> str:
    owner = next((name for name in looks if step in (f"search-{name}", f"select-{name}")), None)
    return looks[owner].colour if owner else HAIRLINE


def _words(cost: Cost) -> str:
    words = duration(cost.seconds)
    if cost.evaluations:
        words += f"   {count(cost.evaluations)} evaluations"
    if cost.images:
        words += f", {count(cost.images)} images"
    return words


def _data(steps: Sequence[Cost]) -> Data:
    header = ("step", "jobs", "seconds", "evaluations", "images", "peak_memory_mb", "devices")
    return Data(
        header,
        tuple((c.step, c.jobs, c.seconds, c.evaluations, c.images, c.peak_memory_mb, c.devices) for c in steps),
    )


def _details(steps: Sequence[Cost]) -> Data:
    rows = tuple(
        (
            c.step,
            c.jobs,
            duration(c.seconds),
            f"{c.evaluations:,}",
            f"{c.images:,}",
            "–" if c.peak_memory_mb is None else f"{c.peak_memory_mb:,.0f} MB",
            c.devices,
        )
        for c in steps
    )
    return Data(("Step", "Jobs", "Time", "Evaluations", "Images", "Peak memory", "Device"), rows)
