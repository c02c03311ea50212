"""What a job's log says of itself, and the summary of the jobs that failed."""

import argparse
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from lcsc import cli, failures
from lcsc.cli import job_log
from lcsc.files import hash_of

SETTINGS = {"name": "digits", "source": "digits", "held_out": 600, "seed": 0}


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def run_data(folder: Path, **changes: object) -> tuple[int, list[str]]:
    log = folder / "logs" / "data.log"
    words = ["--settings", json.dumps({**SETTINGS, **changes}), "--output", str(folder / "out"), "--log", str(log)]
    return cli.main(["data", *words]), lines_of(log)


def test_a_log_says_who_it_is_its_settings_and_at_the_end_what_it_took(tmp_path):
    code, lines = run_data(tmp_path)
    assert code == 0
    assert re.search(r"DEBUG lcsc \S+ data · .* · Python 3\.\d+.* · process \d+$", lines[0])
    assert any(f"settings {hash_of(SETTINGS)}: " in line for line in lines)
    (end,) = (line for line in lines if " done in " in line)
    assert re.search(r"done in \d+\.\d s · peak memory \d+ MB · device cpu · 1 worker\(s\) of 1 thread\(s\)$", end)


def test_a_log_of_a_failed_job_says_what_it_took_and_why(tmp_path):
    code, lines = run_data(tmp_path, held_out=10**6)
    assert code == 2
    assert any(re.search(r"failed after \d+\.\d s · peak memory \d+ MB · device cpu", line) for line in lines)
    assert " ERROR error: " in lines[-1]


def test_files_are_named_with_the_beginning_of_their_sha256(tmp_path):
    (tmp_path / "extractor.safetensors").write_bytes(b"weights")
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "index.json").write_bytes(b"{}")
    (tmp_path / "bank" / "segment-0000.h5").write_bytes(b"large")
    options = argparse.Namespace(
        command="search",
        bank=tmp_path / "bank",
        extractor=tmp_path / "extractor.safetensors",
        generations=[tmp_path / "extractor.safetensors"] * 3,
        output=tmp_path / "extractor.safetensors",
        seed=3,
        warm_start=None,
    )
    found = {name: job_log.described(paths) for name, paths in job_log.read_by(options)}
    assert list(found) == ["bank", "extractor", "generations"]
    assert f"sha256 {hashlib.sha256(b'{}').hexdigest()[:12]}, 2 bytes" in found["bank"]
    assert f"sha256 {hashlib.sha256(b'weights').hexdigest()[:12]}, 7 bytes" in found["extractor"]
    assert found["generations"].startswith("3 files, ")
    assert found["generations"].endswith("21 bytes in 3 files")


def test_images_that_the_settings_name_are_among_what_is_read(tmp_path):
    images = np.arange(40 * 64, dtype=np.uint8).reshape(40, 1, 8, 8)
    given = {name: tmp_path / f"{name}.npy" for name in ("path", "held_out_path")}
    for index, path in enumerate(given.values()):
        np.save(path, images + index)
    words = {"name": "own", "source": "npz", "held_out": None, **{key: str(path) for key, path in given.items()}}
    code, lines = run_data(tmp_path, **words)
    assert code == 0
    for key, path in given.items():
        (line,) = (line for line in lines if f"reads {key} of the settings: " in line)
        digits = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        assert f"DEBUG reads {key} of the settings: {path}: sha256 {digits}, " in line


def test_published_statistics_that_the_settings_name_are_among_what_is_read(tmp_path):
    (tmp_path / "given.npz").write_bytes(b"no statistics")
    (tmp_path / "extractor").write_bytes(b"no extractor")
    part = {"path": str(tmp_path / "given.npz"), "made_by": "own", "count": 3}
    settings = json.dumps({"data_id": "x", "extractor_id": "y", "statistics": {"held_out": part}})
    words = ["--settings", settings, "--extractor", str(tmp_path / "extractor"), "--output", str(tmp_path / "out.h5")]
    assert cli.main(["reference", *words, "--published", "held-out", "--log", str(tmp_path / "log")]) == 2
    digits = hashlib.sha256(b"no statistics").hexdigest()[:12]
    assert any(
        f"reads statistics of the settings: {part['path']}: sha256 {digits}" in x for x in lines_of(tmp_path / "log")
    )


def test_what_is_not_there_and_what_is_too_much_is_said(tmp_path, monkeypatch):
    assert "not there" in job_log.described([tmp_path / "none"])
    (tmp_path / "images.npz").write_bytes(b"0" * 100)
    monkeypatch.setattr(job_log, "HASHED_BYTES", 99)
    assert "100 bytes in 1 file(s), too many to hash" in job_log.described([tmp_path / "images.npz"])


def test_every_option_with_a_path_is_known_as_read_or_written():
    """A new option that names an output must be added to what is written, or its old content would be hashed."""
    named = (*job_log._WRITTEN_BY.values(), *job_log._READ_IN_PART.values())
    written = {*job_log._WRITTEN, *(name for names in named for name in names)}
    words = ("output", "folder for", "write", "file to write", ".json")
    (actions,) = (a for a in cli.build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    for command, parser in actions.choices.items():
        for action in parser._actions:
            if action.type is Path and action.dest not in written and action.help:
                assert not action.help.startswith(words), f"{command} --{action.dest}: {action.help}"


SNAKEMAKE_LOG = """\
Error in rule search+digits+evolution+0000:
    message: None
    jobid: 7
    input: a, b
    log: logs/digits/search.log (check log file(s) for error details)
    shell:
        lcsc search
Error in group job
    jobs:
        rule collect_checkpoints:
            jobid: 3
            log: logs/digits/collect.log (check log file(s) for error details)
Error in rule all_is_lost:
    jobid: 9
"""


def test_failed_jobs_are_summarised_with_their_reason_and_log(tmp_path):
    (tmp_path / "logs/digits").mkdir(parents=True)
    log = tmp_path / "logs/digits/search.log"
    log.write_text("2026-01-01 10:00:00,1 INFO x\n2026-01-01 10:00:01,2 ERROR error: bank: not found; make it\n")
    said = tmp_path / "snakemake.log"
    said.write_text(SNAKEMAKE_LOG)
    (tmp_path / "logs/digits/collect.log").write_text("2026-01-01 10:00:00,1 INFO x\n")
    assert failures.summary([said], tmp_path).splitlines() == [
        "2 jobs failed:",
        "  search+digits+evolution+0000: bank: not found; make it",
        f"    {log}",
        f"  collect_checkpoints: {failures.SILENT}",
        f"    {tmp_path / 'logs/digits/collect.log'}",
    ]


@pytest.mark.parametrize("job", [7, 3])
def test_a_job_that_finished_at_a_later_try_has_not_failed(job):
    again = SNAKEMAKE_LOG.replace("jobid: 9", "jobid: 73")
    later = f"{again}[Sun Nov 29 10:00:00 2026]\nFinished jobid: {job} (Rule: of it)\n1 of 9 steps (11%) done\n"
    others = {"logs/digits/search.log", "logs/digits/collect.log"}
    others.remove({7: "logs/digits/search.log", 3: "logs/digits/collect.log"}[job])
    assert set(failures.failed_jobs(later.splitlines())) == others
    assert len(failures.failed_jobs(f"{later}{SNAKEMAKE_LOG}".splitlines())) == 2  # and failed once more


@pytest.mark.parametrize("text", ["", "Waiting at most 5 seconds for missing files"])
def test_without_a_failed_job_the_logs_are_named(tmp_path, text):
    (tmp_path / "snakemake.log").write_text(text)
    found = failures.summary([tmp_path / "snakemake.log", tmp_path / "none"], tmp_path)
    assert found.endswith(str(tmp_path / "logs"))


def test_a_job_that_never_began_is_said_to_have_no_log(tmp_path):
    assert "did not begin" in failures.reason(tmp_path / "none.log")
