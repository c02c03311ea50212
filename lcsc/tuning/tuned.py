"""Fine-tuned weights as baselines: entries for what :mod:`lcsc.tuning.files` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lcsc import weights
from lcsc.bank import Bank
from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.protocol import require_bank
from lcsc.tuning.files import KIND, MANIFEST, WEIGHTS, exponent

# From an average of the checkpoints, and from what a search found: that one is LCSC and fine-tuning together. So is
# fine-tuning along the span of the checkpoints and in all weights at once, from either.
TUNED, TUNED_SEARCH, TUNED_SPAN = "tuned", "tuned-search", "tuned-span"


def entries(folder: Path, bank: Bank) -> list[dict[str, Any]]:
    """An entry for each milestone of each learning rate in ``folder``, where ``lcsc tune`` put them.

    Each names the extractor whose distance it lowered, which the final evaluation checks. Raises :class:`InputError`
    where they belong to another bank or have changed since.
    """
    path = folder / MANIFEST
    record = read_json(path, kind=KIND)
    require_bank(str(record.get("bank")), bank.identity, path)
    try:
        return [_entry(folder, record, float(run["rate"]), kept) for run in record["rates"] for kept in run[WEIGHTS]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no whole manifest ({error}); run the fine-tuning again") from error


def _entry(folder: Path, record: dict[str, Any], rate: float, kept: dict[str, Any]) -> dict[str, Any]:
    path = folder / kept["file"]
    if not path.is_file():
        raise InputError(f"{path}: not found, expected fine-tuned weights; run the fine-tuning again")
    found = weights.of_file(path)
    if found["sha256"] != kept["sha256"]:
        expected = f"{found['sha256'][:12]}, expected {kept['sha256'][:12]}"
        raise InputError(f"{path}: sha256 {expected}; the file has changed, run the fine-tuning again")
    search, span, count = record["start"]["search"], record["settings"].get("span"), int(kept["gradients"])
    words = f"rate {exponent(rate)}, {count} gradient{'s' if count > 1 else ''}"
    how = f"fine-tuned with the span ({words})" if span else f"fine-tuned ({words})"
    return {
        "name": f"{record['name']} {exponent(rate)} {count}",
        "family": TUNED_SPAN if span else TUNED if search is None else TUNED_SEARCH,
        "label": how.capitalize() if search is None else f"LCSC ({search}), {how}",
        "parameter": rate, "weights": found,
        "searched_extractor": record["searched_extractor"],
    }  # fmt: skip
