"""The final evaluation: fresh noise in several blocks, held-out images, and an extractor that no search used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc import weights
from lcsc.columns import Column, RealImages, describe_columns
from lcsc.data import to_bytes
from lcsc.errors import LcscError
from lcsc.evaluation import generate, measure, score_features
from lcsc.extractors import Extractor
from lcsc.files import hash_of
from lcsc.gain import with_gains
from lcsc.guards import Guards
from lcsc.metrics.extrapolation import FEWEST, Extrapolation, extrapolate
from lcsc.progress import Progress, logger
from lcsc.protocol import distance_name
from lcsc.reference_words import reference_words
from lcsc.scoring import Context

SAMPLES = 64  # images of a method that are kept for the report


class FinalEvaluation:
    """Measures methods on the report blocks; every method sees the same noise."""

    def __init__(
        self,
        context: Context,
        columns: Sequence[Column],
        real: RealImages,
        images: int,
        blocks: int,
        *,
        further: Sequence[Column] = (),
    ) -> None:
        """On ``blocks`` blocks of ``images``; ``further`` columns are measured for the gain, and in no table."""
        self.context, self.columns, self.further, self.images = context, columns, further, images
        self.guards = Guards(real, columns, images, int(context.settings["evaluation"]["seed"]))
        self.blocks = [context.noise("report", block, images) for block in range(blocks)]
        self.failed: list[dict[str, Any]] = []
        """Methods without a distance, each with the reason under ``failed``."""

    def run(self, rows: Sequence[Mapping[str, Any]], what: str, *, guards: bool) -> list[dict[str, Any]]:
        """``rows`` with their ``columns`` (values of each block, mean, spread) and the first block's ``guards``."""
        progress = Progress(what, len(rows))

        def work(row: Mapping[str, Any]) -> dict[str, Any]:
            return {**row, **self._measure(row, guards)}

        found = self.context.workers.map(work, rows, done=lambda row: progress.advance())
        for row in found:
            if "failed" in row:
                _refuse_needed(row)
                logger.warning("%s: %s; it is in no table", row["label"], row["failed"])
        self.failed += [row for row in found if "failed" in row]
        return [row for row in found if "failed" not in row]

    def _measure(self, row: Mapping[str, Any], guards: bool) -> dict[str, Any]:
        vector = weights.load(row["weights"], self.context.bank)
        columns = [*self.columns, *(self.further if guards else ())]
        extractors = self._extractors_of(columns)
        values: dict[str, list[float]] = {column.key: [] for column in columns}
        further: dict[str, list[Extrapolation]] = {column.key: [] for column in self.columns}
        guarded: dict[str, Any] = {}
        with self.context.workers.generator() as generator:
            generator.load(vector)
            for block, noise in enumerate(self.blocks):
                made: list[NDArray[np.uint8]] = []
                seen = partial(_keep, made) if guards and block == 0 else _forget
                features = measure(generator, extractors, noise, self.context.chunk, seen=seen)
                by_name = dict(zip((e.name for e in extractors), features, strict=True))
                for column in columns:
                    value, reason = score_features(by_name[column.extractor.name], column.reference.reference)
                    if value is None:
                        return {"failed": f"{column.key}, report block {block}: {reason}"}
                    values[column.key].append(value)
                    if guards and column.key in further and self.images >= FEWEST:
                        made_of = by_name[column.extractor.name]
                        further[column.key].append(extrapolate(made_of, column.reference.reference, value))
                if guards and block == 0:
                    guarded = self.guards.of_images(np.concatenate(made))
                    shown = self._extractors_of(self.columns)
                    guarded["guards"] = self.guards.of_features({e.name: by_name[e.name] for e in shown})
        summary = {key: summarise(column) for key, column in values.items()}
        for key, found in further.items():
            summary[key] |= summarise_further(found)
        return {"columns": summary, **guarded}

    @staticmethod
    def _extractors_of(columns: Sequence[Column]) -> list[Extractor]:
        return list({column.extractor.name: column.extractor for column in columns}.values())

    def samples(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.uint8]:
        """The first images of the first report block for each of ``rows``, then as many real held-out ones.

        Returns uint8 [rows + 1, n, C, H, W].
        """
        grids = []
        real = self.guards.shown(SAMPLES)
        count = min(len(real), self.blocks[0].images)
        with self.context.workers.generator() as generator, torch.inference_mode():
            for row in rows:
                generator.load(weights.load(row["weights"], self.context.bank))
                first = next(generate(generator, self.blocks[0], self.context.chunk))[:count]
                grids.append(to_bytes(first.cpu()).numpy())
        count = min(map(len, grids))  # the first chunk of noise may hold fewer
        return np.stack([grid[:count] for grid in [*grids, real]])


def _keep(made: list[NDArray[np.uint8]], images: torch.Tensor) -> None:
    """Keep images as bytes, a quarter of their size: they are on that grid."""
    made.append(to_bytes(images).cpu().numpy())


def _refuse_needed(row: Mapping[str, Any]) -> None:
    """The other rows mean nothing without the last checkpoint, the best EMA and what was searched."""
    found = f"{row['label']}, {row['failed']}"
    if row["name"] in ("last", "ema"):
        raise LcscError(f"{found}; check the generator's settings")
    if row["family"] == "search":
        raise LcscError(f"{found}: leave the search out of 'searches', or search again with other settings")


def _forget(images: torch.Tensor) -> None:
    """Keep nothing: images of other blocks need no memory."""


def summarise(values: Sequence[float]) -> dict[str, Any]:
    """The values of the blocks, their mean, and their standard deviation (NaN-free: 0 for one block)."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"values": list(values), "mean": float(np.mean(values)), "spread": spread}


def summarise_further(found: Sequence[Extrapolation]) -> dict[str, Any]:
    """The distance at half as many images and extrapolated to infinitely many, if there are any."""
    if not found:
        return {}
    half = {"images": found[0].images, **summarise([one.half for one in found])}
    return {"half": half, "limit": summarise([one.limit for one in found])}


def best_in_hindsight(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> dict[str, Any]:
    """For each column the row that is best on the report noise itself: a bound that no honest choice reaches.

    Empty where nothing was measured for it.
    """
    best = {}
    for column in columns if rows else ():
        row = min(rows, key=lambda row: float(row["columns"][column.key]["mean"]))
        best[column.key] = {"name": row["name"], "label": row["label"], **row["columns"][column.key]}
    return best


def record(
    evaluation: FinalEvaluation, rows: Sequence[Mapping[str, Any]], emas: Sequence[Mapping[str, Any]], run: str
) -> dict[str, Any]:
    """The evaluation's record: columns, methods, the best EMA in hindsight and the protocols of each block."""
    context, columns, blocks = evaluation.context, evaluation.columns, len(evaluation.blocks)
    protocols = {
        column.key: [
            context.protocol(column.extractor, column.reference, "report", evaluation.images, block)
            for block in range(blocks)
        ]
        for column in columns
    }
    return {
        "run": run,
        "images": evaluation.images,
        "blocks": blocks,
        "steps": list(context.bank.steps),
        "bank": context.bank.identity,
        "protocols": {key: hash_of([protocol.hash for protocol in found]) for key, found in protocols.items()},
        "protocol_words": [
            *protocol_words([found[0].words() for found in protocols.values()], blocks),
            *reference_words(columns, evaluation.images),
            *dict.fromkeys(column.extractor.facts for column in columns if column.extractor.about.get("resize")),
            *searched_words(rows, columns),
            *(f"{row['label']} has no row: {row['failed']}." for row in evaluation.failed),
        ],
        "columns": describe_columns(columns),
        "methods": with_gains(rows, [*columns, *evaluation.further]),
        "hindsight": best_in_hindsight(emas, columns),
        "neighbours_of_real": {"held-out to train": evaluation.guards.real_distance},
        "guards": {**evaluation.guards.about, "real": evaluation.guards.of_real()},
    }


def protocol_words(columns: Sequence[str], blocks: int) -> list[str]:
    """The protocol of the result table in sentences."""
    return [
        *columns,
        f"Every number is the mean over {blocks} independent blocks of report noise; the spread is the "
        "standard deviation of one block’s distance. All methods see the same noise.",
        "The winner of the search and the best EMA were chosen on selection noise, which is used for nothing else.",
        "Held-out images were seen by nothing before this evaluation: by no training, no extractor and no search.",
    ]


def searched_words(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> list[str]:
    """A sentence for each method that lowered the distance of another extractor than the one that chooses."""
    chooser = next((column for column in columns if column.searched), None)
    return [
        f"{row['label']} lowered {distance_name(found['words'], found.get('measure'))} against the training images, "
        f"with an extractor of its own; what stands for it in the table was chosen by {chooser.distance}, as for all "
        "methods."
        for row in rows
        if (found := row.get("searched_extractor")) is not None
        and chooser is not None
        and found["sha256"] != chooser.extractor.identity
    ]
