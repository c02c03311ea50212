"""The command line: every step by hand, its exit codes, and one line for what is wrong."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from records import rewrite
from tiny import EXTRACTOR, SCORING, TRAINING

from lcsc.cli import build_parser, main
from lcsc.files import read_json

STEPS = ["train", "collect", "reference", "baselines", "search", "tune", "evaluate", "merge", "export", "report"]
SEARCH = {
    "method": "evolution", "seed": 0, "population": 6, "parents": 4, "crossover": 0.5,
    "mutation_scale": [0.01, 0.1], "mutation_share": [0.1, 1.0], "initial_rates": [0.9],
}  # fmt: skip


def lcsc(*arguments):
    """The exit code of a subcommand."""
    return main([str(argument) for argument in arguments])


def one_error_line(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    return lines[0]


def settings(**values):
    return ["--settings", json.dumps(values), "--device", "cpu"]


def measures(run):
    extractor = ["--extractor", run.folder / "cnn.safetensors", "--reference", run.folder / "train.cnn.h5"]
    return ["--bank", run.folder / "bank", *extractor]


def test_help_names_every_step_and_imports_nothing_heavy():
    code = (
        "import sys; from lcsc.cli import build_parser; print(build_parser().format_help())\n"
        "print([m for m in ('torch', 'numpy', 'h5py', 'scipy', 'matplotlib', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *text, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    for step in STEPS:
        assert re.search(rf"^ +{step}\b", "\n".join(text), re.MULTILINE), step


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_help(step, capsys):
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([step, "--help"])
    assert ended.value.code == 0
    assert "--log" in capsys.readouterr().out


def test_without_a_step_it_says_what_there_is(capsys):
    assert lcsc() == 2
    assert "search" in capsys.readouterr().out


def test_a_search_by_hand_is_the_same_in_one_round_and_in_two(tiny_run, tmp_path):
    common = [*measures(tiny_run), *settings(**SCORING, images=60, name="evolution", search=SEARCH)]
    timing = tmp_path / "timing.json"
    assert lcsc("search", *common, "--count", 3, "--output", tmp_path / "a", "--timing", timing) == 0
    assert lcsc("search", *common, "--count", 2, "--output", tmp_path / "b", "--cores", 2) == 0
    assert lcsc("search", *common, "--first", 2, "--count", 1, "--output", tmp_path / "b") == 0
    for number in range(3):
        name = f"generation-{number:04d}.json"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    record = read_json(timing, kind="timing")
    assert (record["evaluations"], record["images"], record["device"]) == (18, 18 * 60, "cpu")


def test_a_changed_protocol_does_not_go_on_with_old_scores(tiny_run, tmp_path, capsys):
    def search(images, first):
        chosen = settings(**SCORING, images=images, name="evolution", search=SEARCH)
        return lcsc("search", *measures(tiny_run), *chosen, "--first", first, "--count", 1, "--output", tmp_path / "a")

    assert search(60, 0) == 0
    assert search(70, 1) == 2
    assert re.search(r"generation-0000\.json: protocol \w{12}, expected \w{12}", one_error_line(capsys))


def test_merged_checkpoints_are_made_again_byte_for_byte(tiny_run, tmp_path):
    steps = tiny_run.bank.steps
    row = np.linspace(-0.5, 1, len(steps))
    finalist = {"coefficients": [(row / row.sum()).tolist()], "selection_score": 1.0}
    record = {"search": "evolution", "protocol": "p", "finalists": [finalist], "chosen": 0}
    record |= {"bank": tiny_run.bank.identity, "groups": "all"}
    selection = tmp_path / "selection.json"
    selection.write_text(json.dumps({"format": "lcsc-selection", "format_version": 1, **record}))
    merged, again, third = (tmp_path / name for name in ("merged.safetensors", "again.safetensors", "3.safetensors"))
    bank = ["--bank", tiny_run.folder / "bank"]
    export = ["--selection", selection, "--output", merged, "--recipe", tmp_path / "recipe.json"]
    assert lcsc("export", *bank, *export, *settings(run="tiny")) == 0
    assert lcsc("merge", *bank, "--recipe", merged, "--output", again) == 0
    assert lcsc("merge", *bank, "--recipe", tmp_path / "recipe.json", "--output", third) == 0
    assert merged.read_bytes() == again.read_bytes() == third.read_bytes()


def test_the_merged_checkpoint_makes_the_images_of_the_combination(tiny_run, tmp_path):
    import torch
    from safetensors.torch import load_file

    from lcsc.bank.combination import combine
    from lcsc.export import export_merged
    from lcsc.generators.networks import build_network
    from lcsc.generators.preconditioning import build_denoiser

    bank = tiny_run.bank
    row = np.linspace(-0.5, 1, bank.K)[None]
    row /= row.sum()
    export_merged(bank, row, output=tmp_path / "merged.safetensors")
    noise = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    network = build_network(SCORING["network"])
    network.load_state_dict(load_file(tmp_path / "merged.safetensors"))
    with torch.inference_mode():
        denoiser = build_denoiser(network, SCORING["preconditioning"])
        expected = denoiser(80.0 * noise, torch.full((8,), 80.0)).clamp(-1, 1)
        context = tiny_run.context()
        with context.workers.generator() as generator:
            generator.load(combine(bank, row[None])[0])
            found = generator([noise])
    assert torch.equal(found, expected)


def test_steps_take_their_settings_from_a_configuration(tmp_path, capsys):
    assert lcsc("settings", "--config", "config/config.yaml", "--run", "digits", "--step", "train") == 0
    assert json.loads(capsys.readouterr().out)["train"]["steps"] == 2000


def test_settings_are_needed(tmp_path, capsys):
    assert lcsc("data", "--output", tmp_path) == 2
    assert "found neither --settings nor --config with --run" in one_error_line(capsys)


@pytest.mark.parametrize("text", ["{", "[1]", "@nowhere.json"])
def test_settings_that_are_no_object_are_refused(text, tmp_path, capsys):
    assert lcsc("data", "--settings", text, "--output", tmp_path) == 2
    assert "--settings" in one_error_line(capsys)


def test_extractors_and_trainings_refuse_held_out_images(tiny_run, tmp_path, capsys):
    held_out = tiny_run.folder / "held-out.npz"
    chosen = settings(**EXTRACTOR, architecture="cnn", seed=0, name="cnn")
    assert lcsc("extractor", "--data", held_out, "--output", tmp_path / "x.safetensors", *chosen) == 2
    assert "held-out.npz" in one_error_line(capsys)
    assert lcsc("train", "--data", held_out, "--output", tmp_path / "x", *settings(**TRAINING)) == 2
    assert "held-out.npz" in one_error_line(capsys)
    assert not list(tmp_path.iterdir())


def test_a_missing_bank_is_wrong_input(tiny_run, tmp_path, capsys):
    common = settings(**SCORING, images=60, name="evolution", search=SEARCH)
    arguments = ["--bank", tmp_path / "none", *measures(tiny_run)[2:], *common]
    assert lcsc("search", *arguments, "--count", 1, "--output", tmp_path / "a") == 2
    assert "none" in one_error_line(capsys)


def test_cuda_is_not_taken_for_granted(tiny_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = [
        "--images",
        tiny_run.folder / "train.npz",
        "--extractor",
        tiny_run.folder / "cnn.safetensors",
    ]
    chosen = ["--settings", "{}", "--device", "cuda", "--output", tmp_path / "r.h5"]
    assert lcsc("reference", *arguments, *chosen) == 2
    assert "PyTorch sees no CUDA device here" in one_error_line(capsys)


def test_work_that_fails_is_another_code_and_is_in_the_log(tiny_run, tmp_path, monkeypatch, capsys):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lcsc.temporary.tempfile.mkstemp", full)
    log = tmp_path / "log" / "reference.log"
    arguments = [
        "--images",
        tiny_run.folder / "train.npz",
        "--extractor",
        tiny_run.folder / "cnn.safetensors",
    ]
    assert lcsc("reference", *arguments, "--output", tmp_path / "r.h5", "--log", log, *settings()) == 1
    assert "r.h5: cannot be written (No space left on device)" in one_error_line(capsys)
    assert "No space left on device" in log.read_text()


def test_collect_lists_what_it_would_read(tiny_run, capsys):
    assert lcsc("collect", "--list", tiny_run.folder / "constant" / "checkpoints") == 0
    assert "step-000040.safetensors" in capsys.readouterr().out


def test_verify_finds_a_changed_byte(tiny_run, tmp_path, capsys):
    import shutil

    bank = shutil.copytree(tiny_run.folder / "bank", tmp_path / "bank")
    assert lcsc("verify", bank) == 0
    segment = bank / "segment-0000.h5"
    content = bytearray(segment.read_bytes())
    content[-100] ^= 1
    segment.write_bytes(bytes(content))
    assert lcsc("verify", bank) == 2
    assert "segment-0000.h5" in one_error_line(capsys)


def test_a_log_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    chosen = ["--settings", "{}", "--log", tmp_path / "file" / "x.log"]
    assert lcsc("data", *chosen, "--output", tmp_path / "data") == 1
    assert "x.log: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("groups", ["all", "tensor"])
def test_a_gradient_search_by_hand_is_the_same_for_any_cores_and_rounds(tiny_run, tmp_path, groups):
    entry = {"method": "gradient", "seed": 0, "groups": groups, "initial_rates": [0.8]}
    common = [*measures(tiny_run), *settings(**SCORING, images=120, name="gradient", search=entry)]
    assert lcsc("search", *common, "--count", 5, "--output", tmp_path / "a") == 0
    for number in range(5):
        more = ["--first", number, "--count", 1, "--cores", 1 + number % 3]
        assert lcsc("search", *common, *more, "--output", tmp_path / "b") == 0
    for number in range(5):
        name = f"generation-{number:04d}.json"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_held_out_statistics_and_chains_of_another_bank_are_refused(tiny_run, tmp_path, capsys):
    held_out = [*measures(tiny_run)[:-1], tiny_run.folder / "held-out.cnn.h5"]
    common = settings(**SCORING, images=60, name="evolution", search=SEARCH)
    assert lcsc("search", *held_out, *common, "--count", 1, "--output", tmp_path / "x") == 2
    assert "found statistics of the held-out images" in one_error_line(capsys)
    assert lcsc("search", *measures(tiny_run), *common, "--count", 1, "--output", tmp_path / "a") == 0
    path = tmp_path / "a" / "generation-0000.json"
    rewrite(path, {**json.loads(path.read_text()), "bank": "0" * 64})
    chosen = settings(**SCORING, images=60, name="evolution", finalists=2)
    output = ["--output", tmp_path / "selection.json"]
    assert lcsc("select", *measures(tiny_run), *chosen, "--generations", path, *output) == 2
    assert "made from bank 000000000000" in one_error_line(capsys)
    assert not (tmp_path / "selection.json").exists()
