"""What LCSC is compared with, scored and chosen on selection noise with the same care as LCSC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lcsc import power_snapshots, weights
from lcsc.checkpoints import format_of
from lcsc.errors import InputError
from lcsc.evaluation import Evaluator, Score
from lcsc.progress import Progress, logger
from lcsc.scoring import Context, score_candidates
from lcsc.search import averaging, post_hoc
from lcsc.search.base import Candidate, Coefficients

# In the order of the table; a family without entries has no row.
FAMILIES = (
    *("last", "single", "uniform", "window", "ema", "post-hoc", "decayed", "continued"),
    *("tuned", "tuned-search", "tuned-span"),
)
EMA_FAMILIES = ("ema", "ema-shaped")
HINDSIGHT_FAMILIES = (*EMA_FAMILIES, "post-hoc")
# What EMA-shaped rows keep from one checkpoint to the next, where the rates are to suit the checkpoints.
KEPT = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99)
ALONE = 0.9999  # weight on the last checkpoint from which a row is that checkpoint


def combinations(
    steps: Sequence[int],
    rates: Sequence[float] | None,
    windows: Sequence[int] = (),
    widths: Sequence[float] = (),
    singles: bool = True,
) -> list[dict[str, Any]]:
    """Entries for every baseline that is a combination of the bank's checkpoints.

    ``rates`` are those of EMA-shaped rows, None for rates that suit the steps; ``windows`` the numbers of last
    checkpoints to average, of which those below the number there are are taken; ``widths`` σ_rel of post-hoc EMAs;
    ``singles`` whether each checkpoint stands alone, too.
    """
    count = len(steps)
    rates = averaging.suited_rates(steps, KEPT) if rates is None else rates
    _warn_of_last_alone(steps, rates)
    entries = [_entry("last", "last", "Last checkpoint", None, averaging.single(count, count - 1))]
    entries += [
        _entry(f"single {step}", "single", f"Checkpoint {step:,}", step, averaging.single(count, index))
        for index, step in enumerate(steps if singles else ())
    ]
    entries.append(_entry("uniform", "uniform", "Uniform average", None, averaging.uniform(count)))
    entries += [
        _entry(f"window {n}", "window", f"Uniform window ({n} checkpoints)", n, averaging.window(count, n))
        for n in windows
        if n < count
    ]
    entries += [
        _entry(
            f"ema-shaped {averaging.rate_words(rate)}",
            "ema-shaped",
            f"EMA-shaped {averaging.rate_words(rate)}",
            rate,
            averaging.ema_shaped(steps, rate),
        )
        for rate in rates
    ]
    for width in widths:
        label = power_snapshots.label(width, ", from checkpoints")
        row = post_hoc.from_checkpoints(steps, width)
        entries.append(_entry(f"post-hoc-checkpoints {width:g}", power_snapshots.FAMILY, label, width, row))
    return entries


def _warn_of_last_alone(steps: Sequence[int], rates: Sequence[float]) -> None:
    alone = [rate for rate in rates if averaging.ema_shaped(steps, rate)[0, -1] > ALONE]
    if len(alone) > len(rates) / 2:
        logger.warning(
            "baselines.ema_shaped: %d of %d rates give the last checkpoint alone, since checkpoints are up to %d steps "
            "apart; leave the key out, or write null, for rates that suit them",
            *(len(alone), len(rates), int(np.diff(np.asarray(steps)).max())),
        )


def files(emas: Path | None, decayed: Path | None, continued: Path | None = None) -> list[dict[str, Any]]:
    """Entries for true EMAs (a folder of them), for a training whose learning rate decayed to 0, and for one that
    went on."""
    entries = [_file_entry("ema", "EMA", path) for path in _weights_in(emas)]
    for family, label, folder in (("decayed", "LR decayed", decayed), ("continued", "Training continued", continued)):
        if folder is not None:
            entries += [_file_entry(family, label, path) for path in _weights_in(folder / "checkpoints")]
            entries += [_file_entry(family, f"{label}, EMA", path) for path in _weights_in(folder / "ema")]
    return entries


def score_baselines(context: Context, evaluator: Evaluator, entries: Sequence[Mapping[str, Any]]) -> list[Score]:
    """The score of each entry, in order."""
    progress = Progress("baselines", len(entries))
    scores: dict[int, Score] = {}
    combined = [i for i, entry in enumerate(entries) if entry["weights"]["kind"] == "coefficients"]
    rows = [np.asarray(entries[i]["weights"]["coefficients"], dtype=np.float64) for i in combined]
    candidates = [Candidate(row, entries[i]["name"]) for row, i in zip(rows, combined, strict=True)]
    results = score_candidates(context, evaluator, candidates, done=lambda score, known: progress.advance())
    scores.update(zip(combined, results, strict=True))
    others = [i for i in range(len(entries)) if i not in scores]

    def work(index: int) -> Score:
        return evaluator.score(weights.load(entries[index]["weights"], context.bank))

    results = context.workers.map(work, others, done=lambda score: progress.advance())
    scores.update(zip(others, results, strict=True))
    return [scores[i] for i in range(len(entries))]


def choose(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The best entry of each family by its score, by name; true and EMA-shaped EMAs count as one family."""
    chosen: dict[str, str] = {}
    for family in FAMILIES:
        members = EMA_FAMILIES if family == "ema" else (family,)
        scored = [entry for entry in entries if entry["family"] in members and entry["score"] is not None]
        if scored:
            chosen[family] = min(scored, key=lambda entry: float(entry["score"]))["name"]
    return chosen


def _entry(name: str, family: str, label: str, parameter: float | None, rows: Coefficients) -> dict[str, Any]:
    record = weights.of_coefficients(rows)
    return {"name": name, "family": family, "label": label, "parameter": parameter, "weights": record}


def _weights_in(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not found:
        raise InputError(f"{folder}: no weights found, expected files that the training saved; run it again")
    return found


def _file_entry(family: str, label: str, path: Path) -> dict[str, Any]:
    rate = format_of(path).metadata_of(path).get("rate")
    suffix = f" {averaging.rate_words(float(rate))}" if rate is not None else ""
    name = f"{label.lower().replace(',', '').replace(' ', '-')}{suffix}"
    parameter = float(rate) if rate is not None else None
    return {
        "name": name, "family": family, "label": f"{label}{suffix}", "parameter": parameter,
        "weights": weights.of_file(path),
    }  # fmt: skip
