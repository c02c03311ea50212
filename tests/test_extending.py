"""Every example of docs/extending.md runs: the code, its piece of the schema, and its configuration."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from searching import FormulaScorer, content, run_rounds
from test_docs_blocks import in_place
from tiny import SCORING

from lcsc.checkpoints import FORMATS
from lcsc.cli import main
from lcsc.collection import collect
from lcsc.config import kinds, resolve, schema
from lcsc.data import load_part, prepare
from lcsc.data.sources import SOURCES
from lcsc.errors import InputError
from lcsc.export import merge_from_recipe
from lcsc.extractors import LOADERS, load_extractor
from lcsc.extractors.making import MAKERS, make_extractor
from lcsc.generators import build_generator
from lcsc.generators.samplers import SAMPLERS, build_sampler
from lcsc.search import SEARCHES, SearchSpace
from lcsc.search.generations import chain_paths, read_chain

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```([a-z ]+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
PARTS = ("network", "search", "sampler", "extractor", "format", "source")
REGISTRIES: tuple[Any, ...] = (SEARCHES, SAMPLERS, kinds.SAMPLERS, LOADERS, MAKERS, SOURCES, FORMATS)


@pytest.fixture
def extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``extended(part)`` runs the code of an example, and adds its piece to the schema; afterwards all is as before."""
    kept = [registry.copy() for registry in REGISTRIES]

    def extend(part: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        exec(compile(BLOCKS[f"python {part}"], f"extending.md, {part}", "exec"), names)
        whole = merged(schema.read_schema(), yaml.safe_load(BLOCKS.get(f"yaml schema {part}", "{}")))
        (tmp_path / "schema.yaml").write_text(yaml.safe_dump(whole))
        monkeypatch.setattr(schema, "schema_path", lambda: tmp_path / "schema.yaml")
        schema.read_schema.cache_clear()
        return names

    yield extend
    schema.read_schema.cache_clear()
    for registry, before in zip(REGISTRIES, kept, strict=True):
        registry.clear()
        registry.update(before) if isinstance(registry, dict) else registry.extend(before)


def merged(node: Any, piece: Any) -> Any:
    """``piece`` laid into a copy of ``node``: sections merge, lists go on."""
    if isinstance(piece, Mapping) and isinstance(node, Mapping):
        return {**node, **{key: merged(node.get(key), value) for key, value in piece.items()}}
    return [*node, *piece] if isinstance(piece, list) and isinstance(node, list) else piece


def configured(part: str) -> dict[str, Any]:
    """The configuration of an example, resolved among what is around it."""
    piece = yaml.safe_load(BLOCKS[f"yaml {part}"])
    return resolve(in_place(piece, [piece]))


def test_the_page_has_these_examples_and_each_is_refused_without_its_code():
    assert [name.removeprefix("python ") for name in BLOCKS if name.startswith("python")] == list(PARTS)
    for part in ("search", "sampler", "extractor", "source"):
        with pytest.raises(InputError):
            configured(part)


def test_the_registries_are_where_the_page_says():
    rows = re.findall(r"`([A-Z]+)` in `([a-z_/]+\.py)`", PAGE)
    assert len(rows) == 7
    for name, path in rows:
        text = (Path(schema.__file__).parent.parent / path).read_text(encoding="utf-8")
        assert re.search(rf"^{name}\b", text, re.MULTILINE), (name, path)


def test_a_network_of_one_s_own_makes_images(extended, tmp_path, monkeypatch, capsys):
    names = extended("network")
    monkeypatch.chdir(tmp_path)
    section = configured("network")["runs"]["mine"]["network"]
    place = Path(*section["factory"].partition(":")[0].split(".")).with_suffix(".py")
    place.parent.mkdir()
    place.write_text(BLOCKS["python network"])
    for step in (10, 20):
        torch.save(names["Small"](**section["args"]).state_dict(), tmp_path / f"step-{step}.pt")
    bank = collect(tmp_path, tmp_path / "bank")
    settings = {"network": section, **{key: SCORING[key] for key in ("preconditioning", "sampler")}}
    generator = build_generator(settings, bank.tensors, bank.others())
    generator.load(bank.checkpoint(0))
    assert generator([torch.randn(3, 1, 8, 8)]).shape == (3, 1, 8, 8)
    Path("my.yaml").write_text(yaml.safe_dump(in_place({"network": section}, [])))
    assert main(["check", "--config", "my.yaml", "--run", "mine", "--bank", "bank", "--device", "cpu"]) == 0
    assert "2 images of the checkpoint of step 10" in capsys.readouterr().err


def test_a_search_of_one_s_own_is_the_same_in_any_rounds(extended, tmp_path):
    extended("search")
    found = configured("search")["runs"]["mine"]["searches"]["climb"]
    settings = {**found, "seed": 0}
    space = SearchSpace((10, 20, 30), groups=2)

    def formula(rows: np.ndarray) -> float:
        return float(np.square(rows - [[2, -2, 1], [0, 0, 1]]).sum())

    for folder, rounds in (("once", [(0, 200)]), ("rounds", [(0, 7), (7, 20), (27, 173)])):
        run_rounds(tmp_path / folder, settings, space, FormulaScorer(formula), rounds)
    assert content(tmp_path / "once", 200) == content(tmp_path / "rounds", 200)
    scores = [generation.scored[0].score for generation in read_chain(chain_paths(tmp_path / "once", 200))]
    assert min(scores) < 0.1 * scores[0]


def test_a_sampler_of_one_s_own_is_of_second_order_and_has_gradients(extended):
    """For Gaussian data the denoiser and the end of the path are known."""
    extended("sampler")
    spread = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return x * (spread**2 / (spread**2 + sigma**2)).view(-1, 1, 1, 1)

    denoiser.sigma_min, denoiser.sigma_max, denoiser.snap = 0.002, 80.0, list  # type: ignore[attr-defined]
    denoiser.kind = "edm"  # type: ignore[attr-defined]
    noise = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    exact = 80.0 * 0.5 / math.hypot(0.5, 80.0)

    def error(kind: str, steps: int) -> float:
        section = {"kind": kind, "steps": steps}
        made = build_sampler(section, denoiser)(denoiser, [noise])  # type: ignore[arg-type]
        return abs(made.item() - exact)

    assert error("adams-bashforth", 40) < 0.3 * error("euler", 40)
    assert 12 < error("adams-bashforth", 40) / error("adams-bashforth", 160) < 20  # 4 times the steps, 16 times less
    settings = configured("sampler")["runs"]["mine"]["sampler"]
    sampler = build_sampler(settings, denoiser)  # type: ignore[arg-type]
    assert (sampler.nfe, sampler.noise_arrays) == (10, 1)
    sampler = build_sampler({**settings, "steps": 160}, denoiser)  # type: ignore[arg-type]
    (slope,) = torch.autograd.grad(sampler(denoiser, [noise]).sum(), spread)  # type: ignore[arg-type]
    assert slope.item() == pytest.approx(1, rel=0.01)


def test_an_extractor_of_one_s_own_is_made_and_read(extended, tmp_path):
    extended("extractor")
    settings = configured("extractor")["extractors"]["noise"]
    for name in ("a", "b"):
        make_extractor({**settings, "name": "noise"}, tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    extractor = load_extractor(tmp_path / "a.safetensors")
    images = torch.rand(4, 1, 8, 8, requires_grad=True)
    features = extractor(images)
    assert features.shape == (4, 32)
    (slopes,) = torch.autograd.grad(features.sum(), images)
    assert extractor.differentiable
    assert float(slopes.abs().min(dim=0).values.sum()) > 0


def test_a_format_of_one_s_own_is_collected_and_merged(extended, tmp_path):
    extended("format")
    folder = tmp_path / configured("format")["runs"]["mine"]["checkpoints"]["folder"]
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    states = [{"dense.kernel": rng.normal(size=(3, 2)).astype("f4"), "dense.bias": np.ones(2, "f4")} for _ in range(3)]
    for step, state in enumerate(states):
        np.savez(folder / f"checkpoint_{step}.npz", **state)
    bank = collect(folder, tmp_path / "bank")
    assert bank.steps == [0, 1, 2]
    recipe = {"bank": bank.identity, "groups": "all", "coefficients": [[0.5, 1.0, -0.5]], "container": bank.container}
    for name in ("merged.npz", "again.npz"):
        merge_from_recipe(recipe, bank, tmp_path / name)
    assert (tmp_path / "merged.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    with np.load(tmp_path / "merged.npz") as merged_file:
        wanted = 0.5 * states[0]["dense.kernel"] + states[1]["dense.kernel"] - 0.5 * states[2]["dense.kernel"]
        assert np.allclose(merged_file["dense.kernel"], wanted, atol=1e-6)
    (folder / "checkpoint_1.npz").write_bytes((folder / "checkpoint_1.npz").read_bytes()[:-30])
    with pytest.raises(InputError, match=r"checkpoint_1\.npz"):
        collect(folder, tmp_path / "again")


def test_a_source_of_one_s_own_is_split(extended, tmp_path, monkeypatch):
    extended("source")
    settings = configured("source")["data"]["published"]
    monkeypatch.chdir(tmp_path)
    path = Path(settings["path"])
    path.parent.mkdir()
    images = np.random.default_rng(0).integers(256, size=(1100, 6, 5)).astype(np.uint8)
    labels = (np.arange(1100) % 10).astype(np.uint8)
    for name, array in ((path, images), (path.with_name("train-labels-idx1-ubyte.gz"), labels)):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        name.write_bytes(gzip.compress(head + array.tobytes()))
    prepare(settings, tmp_path / "out")
    held_out = load_part(tmp_path / "out" / "held-out.npz")
    assert held_out.images.shape == (1000, 1, 6, 5)
    assert set(np.unique(held_out.labels)) == set(range(10))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))
    with pytest.raises(InputError, match="found 32999 bytes, expected 33000"):
        prepare(settings, tmp_path / "out")
