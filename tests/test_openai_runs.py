"""Runs of OpenAI's code bases: files, tracks, windows, and merged checkpoints in their format."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from published import published, same_form
from runs import weights

from lcsc.checkpoints import RunFolder, find_run
from lcsc.collection import collect, list_checkpoints
from lcsc.errors import InputError
from lcsc.export import export_merged, merge_from_recipe, read_recipe

TRACKS = {"raw": "model{:06d}.pt", "ema_0.9999": "ema_0.9999_{:06d}.pt", "target": "target_model{:06d}.pt"}
NETWORKS = ("cifar10-consistency-edm", "imagenet64-consistency-adm", "imagenet64-iddpm")


def save_run(folder: Path, network: str, steps: range, tracks: tuple[str, ...] = tuple(TRACKS)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for step in steps:
        for number, track in enumerate(tracks):
            torch.save(published(network, step + number), folder / TRACKS[track].format(step))
        torch.save({"state": {}, "param_groups": []}, folder / f"opt{step:06d}.pt")


def small_run(folder: Path, steps: range, names: tuple[str, ...] = ("model{:06d}.pt",)) -> Path:
    folder.mkdir()
    for step in steps:
        for name in names:
            torch.save(weights(step), folder / name.format(step))
    return folder


CASES = [(network, track) for network in NETWORKS for track in (None, "ema_0.9999", "target")]


@pytest.mark.parametrize(("network", "track"), CASES[:-1], ids=str)  # improved diffusion has no target network
def test_published_names_come_back_as_they_were(tmp_path: Path, network: str, track: str | None) -> None:
    tracks = tuple(TRACKS) if "consistency" in network else ("raw", "ema_0.9999")
    save_run(tmp_path / "run", network, range(1000, 4000, 1000), tracks)
    bank = collect(tmp_path / "run", tmp_path / "bank", track=track)
    chosen = track or "raw"
    name = TRACKS[chosen].format(3000)
    assert (bank.track, bank.steps, bank.checkpoints[-1].source) == (chosen, [1000, 2000, 3000], name)
    export_merged(bank, np.array([[0.0, 0.0, 1.0]]), output=tmp_path / "m.safetensors", native=tmp_path / "native")
    source, merged = (torch.load(tmp_path / where / name, weights_only=True) for where in ("run", "native"))
    assert same_form(merged, source)
    assert all(torch.equal(merged[key], tensor) for key, tensor in source.items())


def test_the_others_are_named_and_the_recipe_makes_it_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = small_run(tmp_path / "run", range(1, 4), ("model{:06d}.pt", "ema_0.99_{:06d}.pt", "opt{:06d}.pt"))
    logger = logging.getLogger("lcsc")
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, "lcsc")
    try:
        bank = collect(run, tmp_path / "bank")
        recipe = export_merged(bank, np.array([[-0.5, 0.5, 1.0]]), output=tmp_path / "m.safetensors", native=tmp_path)
    finally:
        logger.removeHandler(caplog.handler)
    assert recipe["container"]["dropped"] == ["ema_0.99"]
    assert "found the tracks ema_0.99 (3), raw (3); taking raw" in caplog.text
    assert "searched on the track raw; not in the merged file: ema_0.99" in caplog.text
    for made, again in (("model000003.pt", "again.pt"), ("m.safetensors", "again.safetensors")):
        merge_from_recipe(read_recipe(tmp_path / made), bank, tmp_path / again)
        assert (tmp_path / again).read_bytes() == (tmp_path / made).read_bytes()


def test_what_is_listed(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", range(1, 4), ("model{:06d}.pt", "ema_0.99_{:06d}.pt", "opt{:06d}.pt"))
    lines = list_checkpoints(run).splitlines()
    assert lines[:2] == ["3 checkpoints, track raw, prefix none", "format openai; other tracks: ema_0.99 (3)"]
    assert not any("opt0" in line for line in lines)


def test_without_raw_weights_the_tracks_are_named(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", range(1, 3), ("ema_0.99_{:06d}.pt", "ema_0.999_{:06d}.pt"))
    with pytest.raises(InputError, match=r"tracks ema_0.99 \(2\), ema_0.999 \(2\), expected one") as error:
        find_run(RunFolder(run))
    assert "\n" not in str(error.value)
    assert find_run(RunFolder(run), track="ema_0.999").track == "ema_0.999"


def test_the_family_can_be_named(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", range(1, 3), ("model{:06d}.pt",))
    assert (find_run(RunFolder(run)).family.name, find_run(RunFolder(run), "plain").family.name) == ("openai", "plain")
    with pytest.raises(InputError, match=r"checkpoints.format: found 'zip', expected auto or one of .*openai"):
        find_run(RunFolder(run), "zip")


@pytest.mark.parametrize("spoil", ["truncated", "code", "other"])
def test_files_that_do_not_belong(tmp_path: Path, spoil: str) -> None:
    run = small_run(tmp_path / "run", range(1, 4))
    path = run / "model000002.pt"
    if spoil == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif spoil == "code":
        torch.save(torch.nn.Linear(2, 2), path)
    else:
        torch.save(weights(0, {"another": (3,)}), path)
    with pytest.raises(InputError, match=r"model000002\.pt: .*(truncated|would be executed|is missing)") as error:
        collect(run, tmp_path / "bank")
    assert "\n" not in str(error.value)
    assert list((tmp_path / "bank").iterdir()) == []
