"""What the final evaluation measures: a row for each family of baselines, each search, and averages in hindsight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lcsc.baselines import FAMILIES, HINDSIGHT_FAMILIES
from lcsc.search.averaging import rate_words
from lcsc.tuning import tuned as tunings

TUNED_FAMILIES = (tunings.TUNED, tunings.TUNED_SEARCH, tunings.TUNED_SPAN)


def methods(baselines: Mapping[str, Any], selections: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is evaluated: the chosen entry of each family of baselines, then the chosen finalist of each search."""
    entries = {entry["name"]: entry for entry in baselines["entries"]}
    rows = []
    for family in FAMILIES:
        if family in baselines["chosen"]:
            entry = entries[baselines["chosen"][family]]
            rows.append({**_method(entry, _chosen_label(family, entry)), "name": family, "family": family})
    for selection in selections:
        chosen = selection["finalists"][selection["chosen"]]
        found = {"kind": "coefficients", "coefficients": chosen["coefficients"], "groups": selection["groups"]}
        label = f"LCSC ({selection['search']})"
        row = {"name": selection["search"], "family": "search", "label": label, "weights": found}
        lowered = {key: selection.get(key) for key in ("searched_extractor", "warm_extractors")}
        rows.append({**row, **lowered})
    return rows


def _chosen_label(family: str, entry: Mapping[str, Any]) -> str:
    """The label of a family's choice, with what was chosen in brackets."""
    rate = entry["parameter"]
    if family == "single":
        return f"Best single (step {rate:,})"
    if family == "ema":
        return f"Best EMA ({'' if entry['family'] == 'ema' else 'EMA-shaped '}{rate_words(rate)})"
    if family in ("decayed", "continued"):
        called = {"decayed": "LR decayed", "continued": "Training continued"}[family]
        return f"{called} ({'last' if rate is None else f'EMA {rate_words(rate)}'})"
    return str(entry["label"])


def hindsight_methods(baselines: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every EMA, true, EMA-shaped or post-hoc: the best of them on report noise is the best in hindsight."""
    return [_method(entry, entry["label"]) for entry in baselines["entries"] if entry["family"] in HINDSIGHT_FAMILIES]


def _method(entry: Mapping[str, Any], label: str) -> dict[str, Any]:
    row = {"name": entry["name"], "family": entry["family"], "label": label, "weights": entry["weights"]}
    return {**row, "searched_extractor": entry.get("searched_extractor")}


def shown_rows(rows: Sequence[Mapping[str, Any]], baselines: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of ``rows`` whose images are shown: last, best EMA, the fine-tuning best on selection noise, searches."""
    scores = {entry["name"]: entry["score"] for entry in baselines["entries"]}
    tuned = [row["name"] for row in rows if row["family"] in TUNED_FAMILIES]
    best = min(tuned, key=lambda name: float(scores[baselines["chosen"][name]]), default=None)
    return [row for row in rows if row["name"] in ("last", "ema", best) or row["family"] == "search"]
