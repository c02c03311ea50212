"""What a reader must know of the real side of a distance: few images for many features, and published statistics."""

from __future__ import annotations

from collections.abc import Sequence

from lcsc.columns import Column
from lcsc.metrics.reference_file import ORIGIN


def reference_words(columns: Sequence[Column], images: int) -> list[str]:
    """A sentence for each reference that was published, or whose covariance is singular, and for few ``images``."""
    found = [words for column in columns for words in (_published(column), _singular(column)) if words]
    few = {column.extractor.name: column.extractor.dimension for column in columns}
    found += [
        f"{images:,} generated images have a singular covariance of {dimension:,} features ({name}): FD at this number "
        "is far above that of many images, and compares at the same number only. KD does not depend on it."
        for name, dimension in few.items()
        if images <= dimension
    ]
    return found


def _published(column: Column) -> str:
    origin = column.reference.about.get(ORIGIN)
    count = column.reference.reference.statistics.count
    return f"{column.distance}, {column.part}: published statistics of {count:,} images ({origin})." if origin else ""


def _singular(column: Column) -> str:
    statistics = column.reference.reference.statistics
    if not 0 < statistics.count <= statistics.dimension:
        return ""
    return (
        f"{column.distance}, {column.part}: {statistics.count:,} real images for {statistics.dimension:,} "
        f"features, a covariance of rank {column.reference.reference.factor.shape[1]:,}: real images themselves are "
        "far from 0 then, and KD, which has no bias in their number, stands beside it."
    )
