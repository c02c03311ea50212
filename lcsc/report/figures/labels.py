"""Labels that stand beside lines without covering each other."""

from __future__ import annotations

from collections.abc import Sequence


def spread_apart(positions: Sequence[float], gap: float) -> list[float]:
    """Positions moved as little as needed so that neighbours are at least ``gap`` apart, order kept.

    Positions that would overlap are gathered into a block that is centred on their mean.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    blocks: list[list[int]] = []
    for index in order:
        blocks.append([index])
        while len(blocks) > 1 and _low(blocks[-1], positions, gap) < _high(blocks[-2], positions, gap) + gap:
            last = blocks.pop()
            blocks[-1].extend(last)
    moved = [0.0] * len(positions)
    for block in blocks:
        low = _low(block, positions, gap)
        for place, index in enumerate(block):
            moved[index] = low + place * gap
    return moved


def _low(block: Sequence[int], positions: Sequence[float], gap: float) -> float:
    return sum(positions[index] for index in block) / len(block) - gap * (len(block) - 1) / 2


def _high(block: Sequence[int], positions: Sequence[float], gap: float) -> float:
    return _low(block, positions, gap) + gap * (len(block) - 1)
