"""A module whose weights are views of one flat buffer, so that a candidate is put in place by one copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lcsc.checkpoints.names import strip_prefix
from lcsc.errors import InputError
from lcsc.generators.calls import CallForm

if TYPE_CHECKING:
    from lcsc.bank import TensorEntry


class FlatModule:
    """``module`` on ``device``, its weights in :attr:`buffer` (``dtype``, [P]) laid out as ``tensors`` say.

    ``form`` says how it is called: by default with images and noise levels alone.

    Tensors that are not combined (constants and counters) are copied from ``others`` once. Names, shapes and
    ties are checked against the module; :class:`InputError` names the first tensor that does not fit. The
    module is set to evaluation mode and asks for no gradients; :meth:`call` and :meth:`call_with` differentiate
    with respect to a flat vector and to its parts.
    """

    def __init__(
        self,
        module: nn.Module,
        tensors: Sequence[TensorEntry],
        others: Mapping[str, NDArray[Any]],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        form: CallForm | None = None,
    ) -> None:
        self.form = form or CallForm()
        self.module = module.to(device).eval().requires_grad_(False)
        if dtype != torch.float32:
            self.module.to(dtype)
        placed = _match(self.module, tensors)
        self.entries = [entry for entry in tensors if entry.role == "combined"]
        self._names = {entry.name: placed[entry.name] for entry in self.entries}
        self.size = sum(entry.count for entry in self.entries)
        self.buffer = torch.zeros(self.size, dtype=dtype, device=device)
        views = self.views(self.buffer)
        slots = self.module.state_dict(keep_vars=True)
        for entry in tensors:
            for name in placed[entry.name]:
                if entry.role == "combined":
                    slots[name].data = views[name]
                else:
                    slots[name].data.copy_(_other(entry.name, others))

    def views(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """The module's weights, by the module's names, as views of ``flat`` [P]; tied names share one view."""
        parts = [flat[entry.offset : entry.offset + entry.count].view(entry.shape) for entry in self.entries]
        return self._named(parts)

    def leaves(self) -> list[torch.Tensor]:
        """A tensor for each of :attr:`entries` that shares the buffer's memory and asks for a gradient.

        The gradient of a view of one flat leaf would be a vector of all P for each tensor; these get their own.
        """
        return [
            self.buffer[entry.offset : entry.offset + entry.count].view(entry.shape).detach().requires_grad_()
            for entry in self.entries
        ]

    def _named(self, parts: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        pairs = zip(self.entries, parts, strict=True)
        return {name: part for entry, part in pairs for name in self._names[entry.name]}

    def load(self, flat: NDArray[np.float32] | torch.Tensor) -> None:
        """Copy the weights ``flat`` [P] into place."""
        if tuple(flat.shape) != (self.size,):
            raise InputError(f"weights: found shape {list(flat.shape)}, expected [{self.size}] as the bank has")
        # PyTorch warns of arrays that cannot be written, which rows of a bank are.
        source = flat if isinstance(flat, torch.Tensor) else torch.from_numpy(np.require(flat, requirements=["C", "W"]))
        self.buffer.copy_(source)

    def __call__(self, x: torch.Tensor, noise_level: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The module's output with the weights that are in place."""
        return self.form(self.module, x, noise_level, labels)

    def call(
        self, flat: torch.Tensor, x: torch.Tensor, noise_level: torch.Tensor, labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The module's output with the weights ``flat`` [P]; differentiable with respect to them."""
        return self.form(self._with(self.views(flat)), x, noise_level, labels)

    def call_with(
        self,
        parts: Sequence[torch.Tensor],
        x: torch.Tensor,
        noise_level: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The module's output with ``parts``, one tensor for each of :attr:`entries`; differentiable in them."""
        return self.form(self._with(self._named(parts)), x, noise_level, labels)

    def _with(self, weights: Mapping[str, torch.Tensor]) -> Callable[..., Any]:
        """The module with other ``weights``, by its own names."""

        def call(*values: torch.Tensor, **keywords: Any) -> Any:
            return torch.func.functional_call(self.module, dict(weights), values, keywords)

        return call


def _match(module: nn.Module, tensors: Sequence[TensorEntry]) -> dict[str, list[str]]:
    """For each entry's name, the module's names that it fills; one stands for all that are tied to it."""
    slots = module.state_dict(keep_vars=True)
    # Banks strip what wrappers put before every name, so the network's names are stripped alike.
    canonical = dict(zip(strip_prefix(slots)[1], slots, strict=True))
    given = [name for entry in tensors for name in (entry.name, *entry.aliases)]
    filled = {id(slots[canonical[name]]) for name in given if name in canonical}
    missing = [name for name, own in canonical.items() if id(slots[own]) not in filled]
    extra = [name for name in given if name not in canonical]
    if missing or extra:
        raise InputError(_mismatch(missing, extra))
    owner: dict[int, str] = {}
    placed: dict[str, list[str]] = {}
    for entry in tensors:
        placed[entry.name] = [canonical[name] for name in (entry.name, *entry.aliases)]
        for own in placed[entry.name]:
            _check_slot(entry, slots[own])
            first = owner.setdefault(id(slots[own]), entry.name)
            if first != entry.name:
                raise InputError(
                    f"network: {first!r} and {entry.name!r} are one tied tensor in the network but two in "
                    "the checkpoints; untie them in the network's args"
                )
    return placed


def _check_slot(entry: TensorEntry, slot: torch.Tensor) -> None:
    if tuple(slot.shape) != tuple(entry.shape):
        raise InputError(
            f"network: tensor {entry.name!r} has shape {list(slot.shape)} in the network, "
            f"expected {list(entry.shape)} as in the checkpoints; correct the network's args"
        )
    if entry.role == "combined" and not slot.is_floating_point():
        raise InputError(
            f"network: tensor {entry.name!r} is {slot.dtype} in the network, "
            "expected a floating type as in the checkpoints; correct the network's args"
        )


def _mismatch(missing: Sequence[str], extra: Sequence[str]) -> str:
    parts = []
    if missing:
        parts.append(f"tensor {missing[0]!r} is in the network but not in the checkpoints{_and_more(missing)}")
    if extra:
        parts.append(f"tensor {extra[0]!r} is in the checkpoints but not in the network{_and_more(extra)}")
    return f"network: {', and '.join(parts)}; expected the same names, correct the network's factory or args"


def _and_more(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _other(name: str, others: Mapping[str, NDArray[Any]]) -> torch.Tensor:
    if name not in others:
        raise InputError(f"bank: tensor {name!r} is listed but its value is missing; collect the checkpoints again")
    return torch.from_numpy(np.array(others[name]))
