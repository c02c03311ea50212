"""Factories from folders of a code base, and from two of them with modules of the same names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from lcsc.errors import InputError
from lcsc.generators import build_network
from lcsc.generators.code_base import code_base

MODELS = """
import torch
from {package}utils import SIZE, Base

class Net(Base):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(SIZE, SIZE)

    def forward(self, x, noise_level):
        import {package}late
        return self.layer(x) * {package}late.FACTOR

def make_late():
    from {package}later import Other
    return Other()
"""


def write_code_base(folder: Path, size: int, package: str = "") -> str:
    """A code base whose modules import each other, one of them when a network is called."""
    inside = folder / package.rstrip(".") if package else folder
    inside.mkdir(parents=True)
    texts = {
        "models": MODELS.format(package=package),
        "utils": f"import torch\nSIZE = {size}\nclass Base(torch.nn.Module):\n    pass\n",
        "late": f"FACTOR = {size}\n",
        "later": f"from {package}models import Net as Other\n",
        **({"__init__": ""} if package else {}),
    }
    for name, text in texts.items():
        (inside / f"{name}.py").write_text(text)
    return str(folder)


@pytest.fixture(autouse=True)
def imports_as_before():
    """Whatever a test imports is gone after it."""
    modules = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.modules.update(modules)


def size_of(folder: str, factory: str = "models:Net") -> int:
    network = build_network({"factory": factory, "python_path": [folder]})
    return int(network.layer.out_features)


def test_a_folder_is_on_the_path_for_the_factory_alone(tmp_path):
    folder = write_code_base(tmp_path / "one", 2)
    before = list(sys.path)
    assert size_of(folder) == 2
    assert sys.path == before
    assert size_of(folder, "models:make_late") == 2
    with pytest.raises(InputError, match=r"'models_x:Net' cannot be imported .*in network.python_path"):
        build_network({"factory": "models_x:Net", "python_path": [folder]})
    assert sys.path == before


def test_two_code_bases_with_modules_of_the_same_names_keep_apart(tmp_path):
    one, two = (write_code_base(tmp_path / name, size) for name, size in (("one", 2), ("two", 3)))
    assert [size_of(folder) for folder in (one, two, one, two)] == [2, 3, 2, 3]
    # The class is made once, not with each network.
    first, again = (build_network({"factory": "models:Net", "python_path": [one]}) for _ in range(2))
    other = build_network({"factory": "models:Net", "python_path": [two]})
    assert type(first) is type(again) is not type(other)


def test_a_package_may_import_its_parts_when_its_network_is_called(tmp_path):
    folder = write_code_base(tmp_path / "one", 2, "toy_code_base.")
    network = build_network({"factory": "toy_code_base.models:Net", "python_path": [folder]})
    network.layer.weight.data, network.layer.bias.data = torch.eye(2), torch.zeros(2)
    assert torch.equal(network(torch.ones(1, 2), None), torch.full((1, 2), 2.0))


def test_what_was_imported_under_a_name_stands_again_afterwards(tmp_path, monkeypatch):
    for name in ("models", "utils", "late", "later"):  # of other tests' code bases
        monkeypatch.delitem(sys.modules, name, raising=False)
    installed = write_code_base(tmp_path / "installed", 5)
    monkeypatch.syspath_prepend(installed)
    earlier = importlib.import_module("models")
    folder = write_code_base(tmp_path / "one", 2)
    assert size_of(folder) == 2
    assert importlib.import_module("models") is earlier
    assert importlib.import_module("utils").SIZE == 5
    assert size_of(installed) == 5
    assert importlib.import_module("models") is earlier


def test_modules_of_python_itself_are_never_displaced(tmp_path):
    (tmp_path / "random.py").write_text("raise RuntimeError('not this one')")
    (tmp_path / "time").mkdir()
    before = sys.modules["random"], sys.modules["time"]
    with code_base([str(tmp_path)]):
        assert (sys.modules["random"], sys.modules["time"]) == before


def test_the_path_is_restored_after_an_error(tmp_path):
    (tmp_path / "broken.py").write_text("import sys\nraise ValueError('no\\nsense')")
    before = list(sys.path)
    with pytest.raises(InputError, match=r"factory 'broken:x' cannot be imported \(no\); install it"):
        build_network({"factory": "broken:x", "python_path": [str(tmp_path)]})
    assert sys.path == before


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"python_path: .*nowhere: not found, expected a folder"):
        build_network({"factory": "models:Net", "python_path": [str(tmp_path / "nowhere")]})


def test_factories_may_be_attributes_and_may_return_more_than_the_network():
    assert build_network({"factory": "code_bases:Family.small"}).leave.out_channels == 1
    network = build_network({"factory": "code_bases:create_model_and_diffusion", "args": {"channels": 2}})
    assert network.leave.out_channels == 2
    with pytest.raises(InputError, match=r"two_models returned tuple with 2 modules, expected a torch.nn.Module, or"):
        build_network({"factory": "code_bases:two_models"})
