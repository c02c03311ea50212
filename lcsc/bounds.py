"""How much a file may unpack to: a small file that describes a huge array is refused before memory is taken for it."""

from __future__ import annotations

from lcsc.errors import InputError

# Images and covariances compress a few times, labels that are all the same more: but those are small.
MOST_TIMES, ALWAYS = 100, 256 << 20


def check_unpacked(where: str, unpacked: int, stored: int) -> None:
    """Refuse what takes ``unpacked`` bytes and is ``stored`` in far fewer; ``where`` names the file and what in it."""
    if unpacked > max(ALWAYS, MOST_TIMES * stored):
        raise InputError(
            f"{where} unpacks to {unpacked:,} bytes from {stored:,}, expected at most {MOST_TIMES} times as many, or "
            f"{ALWAYS >> 20} MiB; save it without compression"
        )
