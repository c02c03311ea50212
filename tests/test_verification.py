"""Whole files pass, changed ones are named in one line each, and what nothing is known of is counted apart."""

import json
import shutil
from pathlib import Path

import pytest

from lcsc.checksums import summed, sums_beside
from lcsc.cli import main
from lcsc.errors import InputError
from lcsc.files import write_bytes, write_json
from lcsc.verification import verify


@pytest.fixture
def run(tiny_run, tmp_path):
    """A training, its bank, and a search of three generations, as a folder of a run."""
    shutil.copytree(tiny_run.folder / "constant", tmp_path / "train")
    shutil.copytree(tiny_run.folder / "bank", tmp_path / "bank")
    for number in range(3):
        write_generation(tmp_path / "search", number, tiny_run.bank.identity)
    return tmp_path


def write_generation(folder, number, bank):
    from lcsc.files import sha256_of

    before = folder / f"generation-{number - 1:04d}.json"
    row = {"coefficients": [[0.5, 0.5]], "origin": "x", "score": 1.0 / (number + 1), "reason": None}
    record = {"generation": number, "protocol": "p", "bank": bank, "settings": {}, "state": {}, "candidates": [row]}
    record["parent"] = sha256_of(before) if number else None
    write_json(folder / f"generation-{number:04d}.json", record, kind="generation", indent=None)


def flip(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


def only_problem(*paths):
    (problem,) = verify(paths).problems
    assert "\n" not in problem
    return problem


def test_a_whole_run_passes(run):
    outcome = verify([run])
    assert outcome.problems == []
    assert outcome.unknown == []
    assert outcome.checked == sum(path.is_file() for path in run.rglob("*"))


@pytest.mark.parametrize(
    "name",
    [
        "train/checkpoints/step-000040.safetensors",
        "train/ema/rate-0.9000.safetensors",
        "train/state.safetensors",
        "bank/segment-0000.h5",
    ],
)
def test_a_changed_file_is_named_from_its_folder_and_alone(run, name):
    flip(run / name)
    assert str(run / name) in only_problem(run)
    assert str(run / name) in only_problem(run / name)


def test_a_missing_file_is_named(run):
    (run / "train/state.safetensors").unlink()
    assert "state.safetensors: not found" in only_problem(run)


def test_a_changed_generation_and_the_one_that_follows_it_are_named(run):
    flip(run / "search/generation-0001.json", 40)
    problems = verify([run]).problems
    assert [Path(problem.split(":")[0]).name for problem in problems] == [
        "generation-0001.json",
        "generation-0002.json",
    ]


def test_other_spaces_are_a_change(run):
    path = run / "train/manifest.json"
    path.write_text(path.read_text().replace("{\n", "{\t", 1))
    assert "manifest.json: found other spaces" in only_problem(path)


@pytest.mark.parametrize("name", ["train/manifest.json", "bank/index.json", "search/generation-0001.json"])
def test_another_line_end_is_a_change(run, name):
    (run / name).write_bytes((run / name).read_bytes()[:-1] + b"\r")
    assert f"{Path(name).name}: " in verify([run / name]).problems[0]


def test_another_line_end_of_checksums_is_a_change(tmp_path):
    with summed(tmp_path / "a.npz"):
        write_bytes(tmp_path / "a.npz", b"images")
    sums = sums_beside(tmp_path / "a.npz")
    sums.write_bytes(sums.read_bytes()[:-1] + b"\r")
    assert "a.npz.sha256: cannot be read as lines of sha256sum" in only_problem(sums)


def test_a_generation_under_another_name_is_refused(run):
    shutil.copy(run / "search/generation-0000.json", run / "search/generation-0003.json")
    assert "generation-0003.json: holds generation 0" in only_problem(run)


def test_a_record_of_another_bank_is_refused(run):
    write_generation(run / "other", 0, "ab" * 32)
    assert "generation-0000.json: found bank abababababab" in only_problem(run)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "other"}', b"\xff"])
def test_a_foreign_json_file_is_named(run, content):
    (run / "x.json").write_bytes(content)
    assert "x.json: " in only_problem(run)


def test_a_json_file_of_a_code_base_is_checked_by_what_names_it(run):
    config = run / "native" / "config.json"
    with summed(run / "merged.safetensors"):
        write_bytes(config, b'{"layers": 3}')
    assert verify([run]).problems == []
    assert verify([config]).checked == 1
    flip(config, 11)
    assert "config.json: found sha256" in only_problem(run)


def test_a_record_of_another_kind_than_its_name_is_refused(run):
    (run / "evaluation.json").write_bytes((run / "train/manifest.json").read_bytes())
    assert "evaluation.json: holds a record of kind 'training', expected 'evaluation'" in only_problem(run)


def test_what_no_checksum_names_is_counted_apart(run):
    (run / "notes.txt").write_text("mine")
    outcome = verify([run])
    assert outcome.unknown == [run / "notes.txt"]
    assert outcome.problems == []


def test_checksums_beside_a_file(tmp_path):
    output = tmp_path / "a.npz"
    with summed(output):
        write_bytes(output, b"images")
    assert verify([tmp_path]).checked == 2
    flip(output)
    assert "a.npz: found sha256" in only_problem(output)
    flip(output)
    flip(sums_beside(output), 3)
    assert "a.npz: found sha256" in only_problem(tmp_path)


def test_nothing_at_a_path_is_an_error(tmp_path):
    with pytest.raises(InputError, match="nope: not found"):
        verify([tmp_path / "nope"])


def test_the_command_says_all_problems_and_fails(run, capsys):
    assert main(["verify", str(run)]) == 0
    assert "files are as they were written, 0 have no checksum" in capsys.readouterr().err
    flip(run / "bank/segment-0000.h5")
    flip(run / "train/state.safetensors")
    assert main(["verify", str(run)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert ["segment-0000.h5" in lines[0], "state.safetensors" in lines[1], len(lines)] == [True, True, 2]


def test_a_merged_checkpoint_is_made_again_from_its_recipe(run, tiny_run):
    import numpy as np

    from lcsc.export import export_merged, write_recipe

    merged = run / "export" / "merged.safetensors"
    rows = np.full((1, tiny_run.bank.K), 1 / tiny_run.bank.K)
    write_recipe(export_merged(tiny_run.bank, rows, output=merged), run / "export" / "recipe.json")
    outcome = verify([run / "export"])
    assert (outcome.problems, outcome.checked) == ([], 2)
    flip(merged)
    assert "merged.safetensors: found sha256" in only_problem(run / "export")


def test_records_of_the_first_version_are_read(run):
    (run / "old.json").write_text(json.dumps({"format": "lcsc-timing", "format_version": 1}))
    assert verify([run]).problems == []
