"""Which jobs of a workflow failed, why, and where their logs are: from Snakemake's own log and the jobs'."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# As Snakemake writes of a failed job, alone or in a group.
_RULE = re.compile(r"^(?:Error in rule |        rule )(?P<rule>.+):$")
_LOG = re.compile(r"^ +log: (?P<logs>.+) \(check log file\(s\) for error details\)$")
_ERROR = re.compile(r"^\S+ \S+ (?:ERROR|CRITICAL) (?P<words>.*)$")
SILENT = "ended without a word: killed, or out of memory or time; what it had done is kept where it has a journal"


def failed_jobs(lines: Iterable[str]) -> dict[str, str]:
    """The log of each job that ``lines`` of Snakemake's log call failed, with its rule; the last try of each."""
    found: dict[str, str] = {}
    rule = ""
    for line in lines:
        if named := _RULE.match(line):
            rule = named["rule"]
        elif rule and (logged := _LOG.match(line)):
            found[logged["logs"].split(", ")[0]] = rule
            rule = ""
    return found


def reason(log: Path) -> str:
    """The last error that a job's ``log`` holds, or that there is none."""
    if not log.is_file():
        return "has no log: it did not begin"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [match["words"] for line in lines if (match := _ERROR.match(line))]
    return errors[-1].removeprefix("error: ") if errors else SILENT


def summary(snakemake_logs: Iterable[Path], folder: Path) -> str:
    """A line for each failed job with its reason, and one with its log's path; relative logs lie in ``folder``."""
    failed: dict[str, str] = {}
    for path in snakemake_logs:
        if path.is_file():
            failed |= failed_jobs(path.read_text(encoding="utf-8", errors="replace").splitlines())
    if not failed:
        return f"The workflow has failed. The logs of the steps: {folder / 'logs'}"
    blocks = [f"  {rule}: {reason(folder / log)}\n    {folder / log}" for log, rule in failed.items()]
    return "\n".join([f"{len(failed)} job{'s' if len(failed) > 1 else ''} failed:", *blocks])
