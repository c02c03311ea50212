"""Which jobs of a workflow failed, why, and where their logs are: from Snakemake's own log and the jobs'."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# As Snakemake writes of a failed job, alone or in a group.
_RULE = re.compile(r"^(?:Error in rule |        rule )(?P<rule>.+):$")
_JOB = re.compile(r"^ +jobid: (?P<job>\d+)$")
_FINISHED = re.compile(r"^Finished jobid: (?P<job>\d+)\b")
_LOG = re.compile(r"^ +log: (?P<logs>.+) \(check log file\(s\) for error details\)$")
_ERROR = re.compile(r"^\S+ \S+ (?:ERROR|CRITICAL) (?P<words>.*)$")
SILENT = "ended without a word: killed, or out of memory or time; what it had done is kept where it has a journal"


def failed_jobs(lines: Iterable[str]) -> dict[str, str]:
    """The log of each job that ``lines`` of Snakemake's log call failed, with its rule; the last try of each, and none
    of those that finished after all."""
    found: dict[str, tuple[str, str]] = {}
    rule = job = ""
    for line in lines:
        if finished := _FINISHED.match(line):
            found.pop(finished["job"], None)
        elif named := _RULE.match(line):
            rule, job = named["rule"], ""
        elif rule and (numbered := _JOB.match(line)):
            job = numbered["job"]
        elif rule and (logged := _LOG.match(line)):
            found[job] = (logged["logs"].split(", ")[0], rule)
            rule = ""
    return dict(found.values())


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
