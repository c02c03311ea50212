"""The README and the pages under docs/: their fenced blocks and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
PROGRAMS = ("lcsc", "snakemake", "pip", "make", "python")
# Commands of the pages that no test of ours can run, and why; whatever else stands there is checked.
NOT_OURS = {
    "cp -a results .snakemake /elsewhere/": "the system's own",
    "pip install snakemake-executor-plugin-NAME": "NAME stands for any of them",
    "scontrol release": "Slurm's own, about a job that Slurm holds",
    "scontrol requeue": "Slurm's own; tests/slurm/test_slurm_faults.py",
    "rm results/digits/bank/segment-0000.h5": "the system's own; tests/workflow/test_workflow.py",
    "sha256sum --check": "the system's own, on files that `lcsc verify` checks, too",
    "find results -newermt now -exec touch {} +": "the system's own; tests/faults/test_clock_jumps.py",
    "generate.py --network=results/mine/export/native/network-snapshot-010000.pkl": "EDM's own",
}
_FOREIGN = ("scontrol", "sha256sum", "generate.py", "timeout")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of all pages in ``language``, indented ones, too, each with a name."""
    for page, text in PAGES.items():
        for number, found in enumerate(re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)):
            yield f"{page}-{number}", found


def _texts() -> Iterator[tuple[str, str]]:
    """Lines of shell blocks, commands within the text, and that of the Kubernetes job."""
    for name, text in blocks("sh"):
        yield from ((name, line.strip()) for line in text.splitlines())
    programs = "|".join(map(re.escape, (*PROGRAMS, *_FOREIGN)))
    for page, text in PAGES.items():
        for inline, job in re.findall(rf"`((?:{programs}) [^`\n]*)`|set -- (snakemake [^;]*);", text):
            yield page, inline or job


def commands() -> dict[str, list[str]]:
    """The words of each command, by its page and text, but for those of :data:`NOT_OURS`."""
    found = {f"{page}: {text}": shlex.split(text, comments=True) for page, text in _texts() if text not in NOT_OURS}
    for name, words in found.items():
        if words[:1] == ["timeout"] or words[:2] == ["lcsc", "watch"] != words:  # what it limits, or shows
            found[name] = words[words.index("snakemake") :]
    return {name: words for name, words in found.items() if words}


COMMANDS = commands()
