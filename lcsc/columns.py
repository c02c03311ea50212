"""The columns of the result table: extractors against the real images of each part, and what may stand in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.data import load_part
from lcsc.errors import InputError
from lcsc.extractors import Extractor
from lcsc.metrics.frechet import statistics_distance
from lcsc.metrics.reference_file import ReferenceFile
from lcsc.protocol import distance_name, require_protocol
from lcsc.scoring import require_match, require_training_part

PARTS = ("held-out", "train")


@dataclass(frozen=True)
class Column:
    """One column of the result table: an extractor against the real images of one part.

    ``searched``: it chose among finalists and baselines, and its distance is what a search lowered that had no other.
    """

    extractor: Extractor
    reference: ReferenceFile
    part: str
    searched: bool

    @property
    def key(self) -> str:
        """Such as ``mlp/held-out``."""
        return f"{self.extractor.name}/{self.part}"

    @property
    def distance(self) -> str:
        """What the distance is called."""
        return distance_name(self.extractor.name, self.extractor.measured.get("measure"))


@dataclass(frozen=True)
class RealImages:
    """Real images by part, uint8 [N, C, H, W], mapped into memory: no part need fit."""

    train: NDArray[np.uint8]
    held_out: NDArray[np.uint8]


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
        found[part] = images.images
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


def further_columns(
    extractors: Sequence[Extractor], references: Sequence[ReferenceFile], columns: Sequence[Column]
) -> list[Column]:
    """Columns beside those of the table: extractors that single searches have, against the training images."""
    if len(extractors) != len(references):
        raise InputError(
            f"--searched: found {len(extractors)} extractors and {len(references)} references, expected one for each"
        )
    further = [Column(e, r, "train", True) for e, r in zip(extractors, references, strict=True)]
    for place, column in enumerate(further):
        require_match(column.extractor, column.reference)
        require_training_part(column.reference)
        if column.extractor.name in {other.extractor.name for other in [*columns, *further[:place]]}:
            raise InputError(
                f"--searched: found an extractor called {column.extractor.name!r}, expected names that no other "
                "extractor here has; train it under another name"
            )
    return further


def require_searched(
    methods: Sequence[Mapping[str, Any]], columns: Sequence[Column], further: Sequence[Column]
) -> None:
    """Refuse methods that lowered the distance of the held-out extractor, or of one that is not there.

    Without it nothing could be said of the gain that they keep.
    """
    held_out = {column.extractor.identity: column.extractor.name for column in columns if not column.searched}
    known = {column.extractor.identity for column in [*columns, *further]}
    for row in methods:
        found = row.get("searched_extractor")
        if found is None:
            continue
        for lowered in [found, *(row.get("warm_extractors") or [])]:
            if lowered["sha256"] in held_out:
                raise InputError(
                    f"{row['label']}: lowered the distance by {held_out[lowered['sha256']]!r}, expected another "
                    "extractor; the held-out one must not be searched, nor be what a warm start was found with"
                )
        if found["sha256"] not in known:
            raise InputError(
                f"{row['label']}: lowered the distance by extractor {found['name']!r} {found['sha256'][:12]}, which is "
                "not there; give its file to --searched and its statistics to --searched-references"
            )


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
                "label": f"{column.distance}, {part} images",
                "floor": floor,
                **column.extractor.measured,
            }
        )
    return records
