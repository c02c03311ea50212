"""How much memory a bank takes, kept or streamed, and how much there is. Imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Columns worked on at once: K of them in float64 stay in the processor's cache. Results depend on it in the
# last bit, so it is a constant.
TILE = 8192
# Columns of a chunk of a segment, and of a block where that is not too large.
COLUMNS = 65_536
# A block read from the disk is no larger, unless a single tile is. Chosen by measurement: docs/bank.md.
BLOCK_BYTES = 32 << 20
# A machine's free memory is for other jobs, too; what a Slurm job was given is its own, but for imports and images.
SHARE, OWN_BYTES = 0.5, 1 << 30

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def resident_bytes(checkpoints: int, parameters: int) -> int:
    """What a bank of K checkpoints of P float32 parameters takes where it is kept in memory."""
    return 4 * checkpoints * parameters


def streamed_bytes(candidates: int, parameters: int, checkpoints: int = 1) -> int:
    """What combining M candidates of P parameters takes where the bank is streamed: these and two blocks."""
    return 4 * candidates * parameters + 2 * max(BLOCK_BYTES, 6 * checkpoints * TILE)


def block_columns(checkpoints: int, differences: bool = False, blocks: int = 2) -> int:
    """Columns of a block of K checkpoints: whole tiles, a chunk at most; ``blocks`` of them take 2 ``BLOCK_BYTES``.

    Checkpoints stored as float16 ``differences`` take 2 bytes more for each weight while they are decoded.
    """
    columns = COLUMNS
    while columns > TILE and blocks * _weight_bytes(differences) * checkpoints * columns > 2 * BLOCK_BYTES:
        columns //= 2
    return columns


def readers(checkpoints: int, differences: bool, threads: int) -> int:
    """How many of ``threads`` may have a block of their own: where a single tile is too large, two."""
    tile = _weight_bytes(differences) * checkpoints * TILE
    return min(threads, max(2, 2 * BLOCK_BYTES // tile))


def _weight_bytes(differences: bool) -> int:
    return 5 if differences else 4


def fits(checkpoints: int, parameters: int, allowed: int | None = None) -> bool:
    """Whether a bank should be kept in memory: where it takes no more than ``allowed``, by default what it may."""
    return resident_bytes(checkpoints, parameters) <= (allowed_bytes() if allowed is None else allowed)


def allowed_bytes() -> int:
    """What a bank may take: half of what the machine or the container has left, and what a Slurm job asked for."""
    return max(0, min(_limits()))


def _limits() -> Iterator[int]:
    yield int(SHARE * _of_the_machine())
    for limit, used in _CGROUPS:
        if (most := _number(limit)) is not None:
            yield int(SHARE * (most - (_number(used) or 0)))
    if (given := os.environ.get("SLURM_MEM_PER_NODE", "")).isdecimal() and int(given):
        yield (int(given) << 20) - OWN_BYTES


def _of_the_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _number(path: str) -> int | None:
    """The number in a file of the system; None where there is none, such as 'max'."""
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
