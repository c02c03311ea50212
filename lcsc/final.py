"""The final evaluation: fresh noise in several blocks, held-out images, and an extractor that no search used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc import weights
from lcsc.baselines import EMA_FAMILIES, FAMILIES
from lcsc.data import load_part, to_bytes, to_float
from lcsc.errors import InputError, LcscError
from lcsc.evaluation import generate, measure, score_features
from lcsc.extractors import Extractor
from lcsc.files import hash_of
from lcsc.metrics.frechet import statistics_distance
from lcsc.metrics.neighbours import nearest_distances
from lcsc.metrics.reference_file import ReferenceFile
from lcsc.progress import Progress
from lcsc.protocol import require_protocol
from lcsc.scoring import Context, require_match

PARTS = ("held-out", "train")
SAMPLES = 64


@dataclass(frozen=True)
class Column:
    """One column of the result table: an extractor against the real images of one part."""

    extractor: Extractor
    reference: ReferenceFile
    part: str
    searched: bool

    @property
    def key(self) -> str:
        """Such as ``mlp/held-out``."""
        return f"{self.extractor.name}/{self.part}"


@dataclass(frozen=True)
class RealImages:
    """Real images as float32 in [-1, 1], by part."""

    train: NDArray[np.float32]
    held_out: NDArray[np.float32]


def read_real_images(train: Path, held_out: Path, columns: Sequence[Column]) -> RealImages:
    """The images of both parts; refuses a file of the other part or of other data than the references'."""
    found = {}
    for path, part in ((train, "train"), (held_out, "held-out")):
        images = load_part(path)
        if images.part != part:
            raise InputError(f"{path}: found the {images.part} images, expected the {part} ones; give them in order")
        for column in columns:
            if column.reference.about["data"] != images.data_id:
                raise InputError(
                    f"{path}: found images {images.data_id!r}, expected {column.reference.about['data']!r} as in the "
                    "references; give files of one data set"
                )
        found[part] = np.asarray(to_float(images.images))
    return RealImages(found["train"], found["held-out"])


def require_chosen_alike(records: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    """Refuse baselines and selections that were not chosen by one protocol, by the extractor that comes first."""
    searched = next(column.extractor for column in columns if column.searched)
    for record in records:
        what = record.get("search", "baselines")
        require_protocol(str(record["protocol"]), str(records[0]["protocol"]), f"choice of {what}")
        if record["extractor"] != searched.identity:
            raise InputError(
                f"choice of {what}: made by extractor {str(record['extractor'])[:12]}, expected '{searched.name}' "
                f"{searched.identity[:12]}; give the searched extractor first"
            )


def make_columns(extractors: Sequence[Extractor], references: Sequence[ReferenceFile]) -> list[Column]:
    """Columns for each part and extractor; the first extractor is the searched one."""
    columns = []
    for part in PARTS:
        for index, extractor in enumerate(extractors):
            found = [
                reference
                for reference in references
                if reference.about["part"] == part and reference.about["extractor_sha256"] == extractor.identity
            ]
            if len(found) != 1:
                raise InputError(
                    f"references: found {len(found)} of the {part} images by extractor '{extractor.name}', expected 1"
                )
            require_match(extractor, found[0])
            columns.append(Column(extractor, found[0], part, index == 0))
    return columns


def describe_columns(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The columns' records, with the distance between real held-out and real training images as floor."""
    records = []
    for column in columns:
        of = {c.part: c.reference.reference for c in columns if c.extractor is column.extractor}
        floor = statistics_distance(of["held-out"].statistics, of["train"])
        name, part = column.extractor.name, "held-out" if column.part == "held-out" else "training"
        records.append(
            {
                "key": column.key,
                "extractor": name,
                "part": column.part,
                "searched": column.searched,
                "label": f"FD ({name}), {part} images",
                "floor": floor,
            }
        )
    return records


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
        rows.append({"name": selection["search"], "family": "search", "label": label, "weights": found})
    return rows


def _chosen_label(family: str, entry: Mapping[str, Any]) -> str:
    """The label of a family's choice, with what was chosen in brackets."""
    rate = entry["parameter"]
    if family == "single":
        return f"Best single (step {rate:,})"
    if family == "ema":
        return f"Best EMA ({'' if entry['family'] == 'ema' else 'EMA-shaped '}{rate:g})"
    if family == "decayed":
        return f"LR decayed ({'last' if rate is None else f'EMA {rate:g}'})"
    return str(entry["label"])


def hindsight_methods(baselines: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every EMA, true or EMA-shaped: the best of them on report noise is the best in hindsight."""
    return [_method(entry, entry["label"]) for entry in baselines["entries"] if entry["family"] in EMA_FAMILIES]


def _method(entry: Mapping[str, Any], label: str) -> dict[str, Any]:
    return {"name": entry["name"], "family": entry["family"], "label": label, "weights": entry["weights"]}


class FinalEvaluation:
    """Measures methods on the report blocks; every method sees the same noise."""

    def __init__(self, context: Context, columns: Sequence[Column], real: RealImages, images: int, blocks: int) -> None:
        self.context, self.columns, self.real, self.images = context, columns, real, images
        self.blocks = [context.noise("report", block, images) for block in range(blocks)]
        self.extractors = list({column.extractor.name: column.extractor for column in columns}.values())

    def run(self, rows: Sequence[Mapping[str, Any]], what: str, *, neighbours: bool) -> list[dict[str, Any]]:
        """``rows`` with their ``columns`` (values of each block, mean, spread) and nearest ``neighbours``."""
        progress = Progress(what, len(rows))

        def work(row: Mapping[str, Any]) -> dict[str, Any]:
            return {**row, **self._measure(row, neighbours)}

        return self.context.workers.map(work, rows, done=lambda row: progress.advance())

    def _measure(self, row: Mapping[str, Any], neighbours: bool) -> dict[str, Any]:
        vector = weights.load(row["weights"], self.context.bank)
        values: dict[str, list[float]] = {column.key: [] for column in self.columns}
        nearest: dict[str, Any] = {}
        with self.context.workers.generator() as generator:
            generator.load(vector)
            for block, noise in enumerate(self.blocks):
                made: list[torch.Tensor] = []
                features = measure(generator, self.extractors, noise, self.context.chunk, seen=made.append)
                by_name = dict(zip((e.name for e in self.extractors), features, strict=True))
                for column in self.columns:
                    value, reason = score_features(by_name[column.extractor.name], column.reference.reference)
                    if value is None:
                        raise LcscError(f"{row['label']}, {column.key}, report block {block}: {reason}")
                    values[column.key].append(value)
                if neighbours and block == 0:
                    nearest = self._neighbours(torch.cat(made).cpu().numpy())
        summary = {key: summarise(column) for key, column in values.items()}
        return {"columns": summary, **({"neighbours": nearest} if neighbours else {})}

    def _neighbours(self, images: NDArray[np.float32]) -> dict[str, dict[str, float]]:
        return {
            "train": {"mean": float(nearest_distances(images, self.real.train).mean())},
            "held-out": {"mean": float(nearest_distances(images, self.real.held_out).mean())},
        }

    def samples(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.uint8]:
        """The first images of the first report block for each of ``rows``, uint8 [rows, n, C, H, W]."""
        grids = []
        count = min(SAMPLES, self.blocks[0].images)
        with self.context.workers.generator() as generator, torch.inference_mode():
            for row in rows:
                generator.load(weights.load(row["weights"], self.context.bank))
                first = next(generate(generator, self.blocks[0], self.context.chunk))[:count]
                grids.append(to_bytes(first.cpu()).numpy())
        return np.stack(grids)


def summarise(values: Sequence[float]) -> dict[str, Any]:
    """The values of the blocks, their mean, and their standard deviation (NaN-free: 0 for one block)."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"values": list(values), "mean": float(np.mean(values)), "spread": spread}


def best_in_hindsight(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> dict[str, Any]:
    """For each column the row that is best on the report noise itself: a bound that no honest choice reaches."""
    best = {}
    for column in columns:
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
    real = nearest_distances(evaluation.real.held_out, evaluation.real.train)
    return {
        "run": run,
        "images": evaluation.images,
        "blocks": blocks,
        "steps": list(context.bank.steps),
        "bank": context.bank.identity,
        "protocols": {key: hash_of([protocol.hash for protocol in found]) for key, found in protocols.items()},
        "protocol_words": protocol_words([found[0].words() for found in protocols.values()], blocks),
        "columns": describe_columns(columns),
        "methods": list(rows),
        "hindsight": best_in_hindsight(emas, columns),
        "neighbours_of_real": {"held-out to train": float(real.mean())},
    }


def protocol_words(columns: Sequence[str], blocks: int) -> list[str]:
    """The protocol of the result table in sentences."""
    return [
        *columns,
        f"Every number is the mean over {blocks} independent blocks of report noise; the spread is their standard "
        "deviation. All methods see the same noise.",
        "The winner of the search and the best EMA were chosen on selection noise, which is used for nothing else.",
        "Held-out images were seen by nothing before this evaluation: by no training, no extractor and no search.",
    ]
