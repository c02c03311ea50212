"""Checksums of files that hold none themselves: written beside them as `sha256sum` writes them.

JSON records and a bank's index hold their own, manifests and indices those of weights. Images, extractors, reference
statistics, samples, merged checkpoints and report pages have a file of checksums, which `sha256sum --check` reads as
well as `lcsc verify`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lcsc.errors import InputError
from lcsc.files import read_text, sha256_of, write_text
from lcsc.refusals import inside
from lcsc.temporary import recording_writes

SUFFIX = ".sha256"
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n\\]+)")


def sums_beside(path: Path) -> Path:
    """Where the checksums of ``path``, and of what is written together with it, stand."""
    return path.with_name(f"{path.name}{SUFFIX}")


@contextmanager
def summed(output: Path) -> Iterator[None]:
    """Write the checksums of ``output`` and of all else that the block writes in its folder and below, beside it."""
    with recording_writes() as written:
        yield
    folder = output.parent.resolve()
    files = [path.resolve() for path in written if path.is_file()]  # those in a temporary folder stand elsewhere now
    names = {path.relative_to(folder).as_posix() for path in files if path.is_relative_to(folder)}
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in sorted(names)]
    write_text(sums_beside(output), "".join(lines))


def read_sums(sums: Path) -> dict[Path, str]:
    """The checksums in ``sums`` by path; :class:`InputError` where it is anything but lines of `sha256sum`."""
    text = read_text(sums, kind="checksums")
    lines = text.split("\n")
    found = [_LINE.fullmatch(line) for line in lines[:-1]]
    if not all(found) or lines[-1] or len(lines) < 2:
        raise InputError(f"{sums}: cannot be read as lines of sha256sum; it was changed, make it again")
    return {inside(sums.parent, match[2], str(sums)): match[1] for match in found if match}
