from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lcsc.bank import TensorEntry
from lcsc.errors import InputError
from lcsc.generators import FlatModule, build_generator, build_network

SHAPE = (1, 3, 3)
SETTINGS = {
    "network": {
        "factory": "lcsc.generators.networks:ResidualMLP",
        "args": {"image_shape": list(SHAPE), "width": 8, "depth": 2},
        "image_shape": list(SHAPE),
    },
    "preconditioning": {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5},
    "sampler": {"kind": "consistency", "sigmas": [80.0, 1.0]},
}


class Mixed(nn.Module):
    """Tied weights, a float buffer and a counter; ``call`` signature of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("shift", torch.zeros(4))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(x))) + self.shift + noise_level[:, None]


def entries(module: nn.Module, reverse: bool = False) -> list[TensorEntry]:
    """The table of a bank of ``module``'s state, tied tensors once."""
    names: dict[int, list[str]] = {}
    state = module.state_dict(keep_vars=True)
    for name, tensor in state.items():
        names.setdefault(id(tensor), []).append(name)
    table, offset = [], 0
    for name, *aliases in reversed(names.values()) if reverse else names.values():
        tensor = state[name]
        combined = tensor.is_floating_point()
        table.append(
            TensorEntry(
                name=name,
                shape=tuple(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                offset=offset if combined else -1,
                count=tensor.numel(),
                role="combined" if combined else "counter",
                aliases=tuple(aliases),
            )
        )
        offset += tensor.numel() if combined else 0
    return table


def flatten(module: nn.Module, table: list[TensorEntry]) -> np.ndarray:
    state = module.state_dict()
    return np.concatenate([state[e.name].numpy().ravel() for e in table if e.role == "combined"])


def inputs(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, *SHAPE, generator=generator), torch.randn(batch, generator=generator)


@pytest.mark.parametrize("reverse", [False, True])
def test_weights_in_the_flat_buffer_are_the_modules_own(reverse):
    source = build_network(SETTINGS["network"], seed=1)
    table = entries(source, reverse)
    flat = FlatModule(build_network(SETTINGS["network"], seed=2), table, {})
    vector = flatten(source, table)
    flat.load(vector)
    x, level = inputs()
    assert torch.equal(flat(x, level), source(x, level))
    start, stop = flat.buffer.data_ptr(), flat.buffer.data_ptr() + 4 * flat.size
    assert flat.size == len(vector) == sum(p.numel() for p in source.parameters())
    assert all(start <= p.data_ptr() < stop for p in flat.module.parameters())
    flat.buffer.mul_(2)
    assert torch.equal(flat.module.enter.weight, 2 * source.enter.weight)


def test_vectors_that_cannot_be_written_and_tensors_are_loaded_and_wrong_sizes_refused():
    network = build_network(SETTINGS["network"])
    table = entries(network)
    flat = FlatModule(network, table, {})
    vector = np.arange(flat.size, dtype=np.float32)
    vector.setflags(write=False)
    flat.load(vector)
    assert np.array_equal(flat.buffer.numpy(), vector)
    flat.load(torch.zeros(flat.size))
    assert not flat.buffer.any()
    with pytest.raises(InputError, match=rf"found shape \[3\], expected \[{flat.size}\]"):
        flat.load(vector[:3])


def test_tied_tensors_buffers_and_counters_find_their_places():
    source = Mixed()
    source.shift.fill_(3)
    table = entries(source)
    assert [entry.aliases for entry in table if entry.aliases] == [("second.weight",)]
    flat = FlatModule(Mixed(), table, {"count": np.array(7)})
    flat.load(flatten(source, table))
    assert flat.module.first.weight.data_ptr() == flat.module.second.weight.data_ptr()
    assert (int(flat.module.count), flat.module.count.dtype) == (7, torch.int64)
    x, level = torch.ones(2, 4), torch.zeros(2)
    assert torch.equal(flat(x, level), source(x, level))


def test_a_tie_may_be_known_to_the_network_alone_or_to_the_bank_alone():
    table = [entry for entry in entries(Mixed()) if entry.role == "combined"]
    one_name = [TensorEntry(e.name, e.shape, e.dtype, e.offset, e.count, e.role, ()) for e in table]
    (counter,) = (entry for entry in entries(Mixed()) if entry.role == "counter")
    flat = FlatModule(Mixed(), [*one_name, counter], {"count": np.array(1)})
    flat.load(np.ones(flat.size, np.float32))
    assert torch.equal(flat.module.second.weight, torch.ones(4, 4))
    untied = Mixed()
    untied.second.weight = nn.Parameter(torch.zeros(4, 4))
    flat = FlatModule(untied, [*table, counter], {"count": np.array(1)})
    flat.load(np.ones(flat.size, np.float32))
    assert torch.equal(untied.first.weight, untied.second.weight)
    assert untied.second.weight.any()


def test_two_stored_tensors_for_one_tied_tensor_are_refused():
    untied = Mixed()
    untied.second.weight = nn.Parameter(torch.zeros(4, 4))
    with pytest.raises(InputError, match=r"'first.weight' and 'second.weight' are one tied tensor"):
        FlatModule(Mixed(), entries(untied), {"count": np.array(0)})


def test_calls_differentiate_with_respect_to_the_flat_vector():
    source = build_network(SETTINGS["network"]).double()
    table = entries(source)
    vector = torch.from_numpy(flatten(source, table)).requires_grad_()
    flat = FlatModule(build_network(SETTINGS["network"], seed=1).double(), table, {})
    x, level = (value.double() for value in inputs())
    torch.testing.assert_close(flat.call(vector, x, level), source(x, level), rtol=1e-12, atol=1e-12)
    value = flat.call(vector, x, level).square().sum()
    (gradient,) = torch.autograd.grad(value, vector)
    direction = torch.randn(len(vector), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ahead, behind = (flat.call(vector.detach() + sign * 1e-6 * direction, x, level).square().sum() for sign in (1, -1))
    assert float(gradient @ direction) == pytest.approx(float(ahead - behind) / 2e-6, rel=1e-6)


def altered(table: list[TensorEntry], index: int, **change) -> list[TensorEntry]:
    entry = table[index]
    fields = {name: getattr(entry, name) for name in ("name", "shape", "dtype", "offset", "count", "role", "aliases")}
    replaced = list(table)
    replaced[index] = TensorEntry(**{**fields, **change})
    return replaced


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda t: t[1:], "'embedding.0.weight' is in the network but not in the checkpoints; exp"),
     (lambda t: t[2:], r"'embedding.0.weight' is in the network but not in the checkpoints \(and 1 more\)"),
     (lambda t: altered(t, 0, name="extra"), "'extra' is in the checkpoints but not in the network"),
     (lambda t: [e for i in range(len(t)) for e in altered(t, i, name="net." + t[i].name)[i : i + 1]],
      "'net.embedding.0.weight' is in the checkpoints but not in the network"),
     (lambda t: altered(t, 0, shape=(32, 8)), r"'embedding.0.weight' has shape \[8, 32\] in the network, "
      r"expected \[32, 8\]"),
     (lambda t: altered(t, -1, role="constant", offset=-1), "'leave.bias' is listed but its value is")],
)  # fmt: skip
def test_networks_that_do_not_fit_the_bank_are_refused_with_the_tensor(change, message):
    table = entries(build_network(SETTINGS["network"]))
    with pytest.raises(InputError, match=message):
        build_generator(SETTINGS, change(table), {})


def test_integer_tensors_cannot_take_weights():
    table = entries(Mixed())
    place = [entry.name for entry in table].index("count")
    table = altered(table, place, role="combined", offset=28)
    with pytest.raises(InputError, match=r"'count' is torch.int64 in the network, expected a floating type"):
        FlatModule(Mixed(), table, {})


class Wrapped(nn.Module):
    """A network inside a wrapper whose prefix banks strip."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.model = inner

    def forward(self, x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return self.model(x, noise_level)


def test_wrappers_prefixes_are_stripped_as_banks_strip_them():
    source = build_network(SETTINGS["network"], seed=1)
    table = entries(source)
    flat = FlatModule(Wrapped(Wrapped(build_network(SETTINGS["network"]))), table, {})
    flat.load(flatten(source, table))
    x, level = inputs()
    assert torch.equal(flat(x, level), source(x, level))
    vector = torch.from_numpy(flatten(source, table))
    assert torch.equal(flat.call(vector, x, level), source(x, level))


@torch.inference_mode()
def test_generator_makes_clamped_images_of_the_weights_it_was_given():
    source = build_network(SETTINGS["network"], seed=1)
    table = entries(source)
    generator = build_generator(SETTINGS, table, {})
    assert (generator.nfe, generator.noise_shapes, generator.image_shape) == (2, (SHAPE, SHAPE), SHAPE)
    rng = torch.Generator().manual_seed(0)
    noises = [torch.randn(5, *SHAPE, generator=rng) for _ in range(2)]
    generator.load(10 * flatten(source, table))
    images = generator(noises)
    assert (images.shape, images.dtype) == ((5, *SHAPE), torch.float32)
    assert images.abs().max() == 1
    other = build_generator(SETTINGS, table, {})
    other.load(flatten(source, table))
    assert not torch.equal(other(noises), images)
    assert torch.equal(generator(noises), images)
    with pytest.raises(InputError, match="found 1 arrays, expected 2"):
        generator(noises[:1])
    with pytest.raises(InputError, match=r"samples of shape \[1, 2, 2\], expected \[1, 3, 3\]"):
        generator([noise[..., :2, :2] for noise in noises])


def nested(config):
    return nn.Linear(config.model.width, len(config.levels))


def test_sections_of_arguments_become_namespaces_where_asked():
    args = {"config": {"model": {"width": 3}, "levels": [{"a": 1}, 2]}}
    settings = {"factory": f"{__name__}:nested", "args": args, "args_form": "namespace"}
    assert build_network(settings).weight.shape == (2, 3)
    assert args == {"config": {"model": {"width": 3}, "levels": [{"a": 1}, 2]}}
    with pytest.raises(InputError, match="refuses args"):
        build_network({**settings, "args_form": "mapping"})
    with pytest.raises(InputError, match="args_form is 'object', expected one of mapping, namespace"):
        build_network({**settings, "args_form": "object"})


def test_networks_are_the_same_for_the_same_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two, three = (build_network(SETTINGS["network"], seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.enter.weight, three.enter.weight)
    assert set(one.state_dict()) == {name for name, _ in one.named_parameters()}


@pytest.mark.parametrize(
    ("factory", "args", "message"),
    [("lcsc.generators.networks", {}, "expected 'module:callable'"),
     ("no_such_package.x:Net", {}, "cannot be imported .*No module named"),
     ("lcsc.generators.networks:Nothing", {}, "has no callable 'Nothing'"),
     ("lcsc.generators.networks:FREQUENCIES", {}, "has no callable 'FREQUENCIES'"),
     ("lcsc.generators.networks:ResidualMLP", {"depths": 3}, r"refuses args \['depths'\]"),
     ("builtins:dict", {}, "returned dict, expected a torch.nn.Module")],
)  # fmt: skip
def test_factories_that_give_no_network_are_refused(factory, args, message):
    with pytest.raises(InputError, match=message):
        build_network({"factory": factory, "args": args})
