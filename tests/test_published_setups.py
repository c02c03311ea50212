"""The configurations of published set-ups: their networks' tensors, and each end to end at toy size."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from published import same_form, table
from published_setups import CHECKPOINTS, OPENAI, SETUPS, STEPS, SetUp, Tensors, toy_config, write_run
from small_workflow import make_inputs, run_workflow

from lcsc.bank import Bank
from lcsc.cli import main
from lcsc.collection import collect
from lcsc.config import load_config, searched_name
from lcsc.export import export_merged
from lcsc.files import read_json
from lcsc.generators.calls import CallForm
from lcsc.generators.networks import build_network
from lcsc.search.generations import read_chain

BUFFERS = ("freqs", "resample_filter")
NFE = {"cifar10-ddpm": 15, "imagenet64-iddpm": 15}
every = pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)


@every
def test_the_arguments_are_those_of_the_published_network(setup: SetUp) -> None:
    with torch.device("meta"):
        network = build_network(setup.network)
    found = [(name, tuple(tensor.shape), tensor.dtype) for name, tensor in network.state_dict().items()]
    assert found == [(name, *rest) for name, rest in table(setup.table).items()]


@every
def test_a_stand_in_s_images_depend_on_each_of_its_tensors(setup: SetUp) -> None:
    network = build_network(setup.small_network)
    tensors = [tensor.requires_grad_() for tensor in network.state_dict(keep_vars=True).values()]
    x = torch.randn(2, *setup.network["image_shape"], generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, 999]) if "classes" in setup.network else None
    form = CallForm.of(network, setup.network)
    found = form(network, x, torch.tensor([0.3, 0.7]), labels)
    assert found.shape[1:] == (network.channels[1], *x.shape[2:])
    slopes = torch.autograd.grad(found.square().sum(), tensors)
    assert all(bool((slope != 0).any()) for slope in slopes)


@every
def test_the_configuration_is_complete(setup: SetUp) -> None:
    config = load_config(Path("config") / f"{setup.name}.yaml")
    run = config["runs"][setup.name]
    assert run["checkpoints"]["folder"] == f"runs/{setup.name}"
    assert {search["method"] for search in run["searches"].values()} == {"evolution", "gradient"}


def test_the_factory_of_the_page_takes_the_other_attention(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", Path("docs/published-setups.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "without_flash.py").write_text(code, encoding="utf-8")
    network = SETUPS["imagenet64-cd"].small_network
    factory = {"factory": "without_flash:create_model", "python_path": [str(tmp_path), *network["python_path"]]}
    for settings, expected in ((network, "QKVFlashAttention"), ({**network, **factory}, "QKVAttention")):
        (attention,) = build_network(settings).attention
        assert (type(attention).__name__, attention.num_heads) == (expected, 1)


@dataclass(frozen=True)
class Done:
    """A set-up that ran end to end."""

    setup: SetUp
    folder: Path
    raw: list[Tensors] = field(repr=False)


class Steps:
    """The steps of a run by the command line, with the paths that one gives the next."""

    def __init__(self, folder: Path, config: dict[str, Any], run: str) -> None:
        self.folder, self.run = folder, run
        self.given = folder / "config.yaml"
        self.given.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        self.section = load_config(self.given)["runs"][run]

    def __call__(self, step: str, *arguments: object, name: str | None = None) -> None:
        common = ["--config", self.given, "--run", self.run, "--device", "cpu", "--quiet"]
        common += ["--name", name] if name else []
        assert main([step, *map(str, [*common, *arguments])]) == 0, step

    def extractor(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def reference(self, name: str, part: str = "train") -> Path:
        return self.folder / f"{part}.{name}.h5"

    def measure(self, name: str) -> list[object]:
        extractor = ["--extractor", self.extractor(name), "--reference", self.reference(name)]
        return ["--bank", self.folder / "bank", *extractor]

    def prepare(self, data: str, extractors: dict[str, Any]) -> None:
        """Images, extractors, statistics and the bank."""
        self("data", "--output", self.folder / "images", name=data)
        for name, entry in extractors.items():
            weights = ["--weights", entry["weights"]] if "weights" in entry else []
            images = ["--data", self.folder / "images" / "train.npz"] if "data" in entry else []
            self("extractor", *images, *weights, "--output", self.extractor(name), name=name)
            judges = name in self.section["extractors"].values()  # others are measured against training images alone
            for part in ("train", "held-out") if judges else ("train",):
                chosen = ["--images", self.folder / "images" / f"{part}.npz", "--extractor", self.extractor(name)]
                self("reference", *chosen, "--output", self.reference(name, part), name=name)
        self("collect", "--folder", self.section["checkpoints"]["folder"], "--output", self.folder / "bank")

    def search(self, name: str) -> None:
        """Two generations and the choice among their finalists."""
        own, mine = searched_name(self.section, self.section["searches"][name]), self.section["extractors"]["search"]
        output = self.folder / "search" / name
        self("search", *self.measure(own), "--count", 2, "--output", output, name=name)
        generations = ["--generations", *sorted(output.glob("generation-*.json"))]
        searched = ["--searched", self.extractor(own), self.reference(own)] if own != mine else []
        self("select", *self.measure(mine), *generations, *searched, "--output", self.choice(name), name=name)

    def choice(self, name: str) -> Path:
        return self.folder / "search" / name / "selection.json"

    def finish(self) -> None:
        """The final evaluation and the merged checkpoint."""
        roles, searches = self.section["extractors"].values(), self.section["searches"]
        mine = self.section["extractors"]["search"]
        further = dict.fromkeys(searched_name(self.section, search) for search in searches.values())
        further.pop(mine, None)
        chosen = ["--selection", *map(self.choice, searches)]
        given = ["--bank", self.folder / "bank", "--baselines", self.folder / "baselines.json", *chosen]
        given += ["--extractors", *map(self.extractor, roles), "--references"]
        given += [self.reference(name, part) for name in roles for part in ("train", "held-out")]
        given += ["--searched", *map(self.extractor, further), "--searched-references", *map(self.reference, further)]
        given += ["--train-images", self.folder / "images" / "train.npz"]
        given += ["--held-out-images", self.folder / "images" / "held-out.npz"]
        outputs = ["--samples", self.folder / "samples.npz", "--output", self.folder / "evaluation.json"]
        self("evaluate", *given, *outputs)
        outputs = ["--output", self.folder / "merged.safetensors", "--native", self.folder / "native"]
        self("export", "--bank", self.folder / "bank", *chosen, *outputs, "--recipe", self.folder / "recipe.json")


def run_through(setup: SetUp, folder: Path, config: dict[str, Any]) -> Done:
    """All steps of ``setup`` with ``config``, whose run is written first."""
    raw = write_run(setup, Path(config["defaults"]["checkpoints"]["folder"]))
    steps = Steps(folder, config, setup.name)
    steps.prepare(config["defaults"]["data"], config["extractors"])
    mine = steps.section["extractors"]["search"]
    steps("baselines", *steps.measure(mine), "--output", folder / "baselines.json")
    for name in steps.section["searches"]:
        steps.search(name)
    steps.finish()
    return Done(setup, folder, raw)


@pytest.fixture(scope="module", params=SETUPS.values(), ids=SETUPS)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp(request.param.name)
    return run_through(request.param, folder, toy_config(request.param, folder))


def test_the_bank_holds_the_raw_weights_of_the_run(done: Done) -> None:
    bank = Bank.open(done.folder / "bank")
    assert (bank.track, bank.steps) == ("raw", list(STEPS))
    assert {entry.name for entry in bank.tensors if entry.role == "combined"} == done.raw[0].keys()
    assert list(table(done.setup.table)) == list(done.raw[0])
    first = bank.unflatten(bank.checkpoint(0))
    assert all(torch.equal(torch.as_tensor(first[name]), tensor) for name, tensor in done.raw[0].items())


def test_every_search_is_evaluated(done: Done) -> None:
    record = read_json(done.folder / "evaluation.json", kind="evaluation")
    evaluations = NFE.get(done.setup.name, 1)
    assert any(f"({evaluations} network evaluation" in words for words in record["protocol_words"])
    methods = {method["name"]: method for method in record["methods"]}
    assert {"evolution", "gradient", "gradient-tensor", "last", "ema"} <= methods.keys()
    for method in methods.values():
        assert all(column["mean"] > 0 for column in method["columns"].values())
    found = sorted((done.folder / "search" / "gradient-tensor").glob("generation-*.json"))
    (scored,) = read_chain(found)[-1].scored
    assert scored.gradient is not None
    assert np.shape(scored.gradient) == (len(done.raw[0]), CHECKPOINTS)


def test_the_merged_file_is_the_run_s_own_kind_of_file(done: Done) -> None:
    (run,) = done.folder.glob("runs/*")
    bank, row = Bank.open(done.folder / "bank"), np.array([[-0.5, 0.5, 0.25, 0.75]])
    export_merged(bank, row, output=done.folder / "mixed.safetensors", native=done.folder / "mixed")
    ddim = done.setup.code == "ddim"
    name = f"ckpt_{STEPS[-1]}.pth" if ddim else OPENAI["raw"].format(STEPS[-1])
    files = [
        torch.load(folder / name, weights_only=True) for folder in (run, done.folder / "native", done.folder / "mixed")
    ]
    assert all(type(file) is type(files[0]) and len(file) == len(files[0]) for file in files)
    source, exported, mixed = (file[0] if ddim else file for file in files)
    assert same_form(exported, source)
    assert same_form(mixed, source)
    prefix = "module." if ddim else ""
    for key in done.raw[0]:
        expected = sum(float(a) * state[key].double() for a, state in zip(row[0], done.raw, strict=True))
        torch.testing.assert_close(mixed[prefix + key].double(), expected, rtol=1e-6, atol=1e-6)
        assert torch.equal(mixed[prefix + key], source[prefix + key]) == key.endswith(BUFFERS)
    network = build_network(done.setup.small_network)
    network.load_state_dict({key.removeprefix(prefix): tensor for key, tensor in mixed.items()})
    again = shutil.copytree(run, done.folder / "again")
    shutil.copy(done.folder / "mixed" / name, again / name)
    read = collect(again, done.folder / "bank-again", track="raw")
    assert read.steps == bank.steps
    last = read.unflatten(read.checkpoint(CHECKPOINTS - 1))
    assert all(torch.equal(torch.as_tensor(last[key]), mixed[prefix + key]) for key in done.raw[0])


def test_all_configurations_are_planned(tmp_path: Path) -> None:
    planned: dict[str, Any] = {"device": "cpu", "threads": 4, "data": {}, "extractors": {}, "runs": {}}
    for setup in SETUPS.values():
        config = setup.config
        for key in ("data", "extractors"):
            planned[key] |= config[key]
        planned["runs"][setup.name] = config["defaults"]
    make_inputs(tmp_path, planned)
    said = run_workflow(tmp_path, planned, "--dry-run").stdout
    assert re.search(rf"^report +{len(SETUPS)}$", said, re.MULTILINE), said
