"""A module with tensors of given names, whose images depend on each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

Shapes = dict[str, tuple[int, ...]]


class StandIn(nn.Module):
    """Tensors of ``shapes``, those whose names end with one of ``buffers`` as buffers; ``channels`` of an image."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], channels: tuple[int, int], buffers: tuple[str, ...] = ()):
        super().__init__()
        self.channels = channels
        for name, shape in shapes.items():
            *path, last = name.split(".")
            module: nn.Module = self
            for part in path:
                if part not in module._modules:
                    module.add_module(part, nn.Module())
                module = module.get_submodule(part)
            tensor = torch.randn(shape) / math.sqrt(math.prod(shape[1:]))
            if name.endswith(buffers or ("\0",)):
                module.register_buffer(last, tensor)
            else:
                module.register_parameter(last, nn.Parameter(tensor))

    def image(self, x: torch.Tensor, level: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C', H, W] of images [B, C, H, W], noise levels or timesteps [B], and a number [B] for each label."""
        assert x.shape[1] == self.channels[0]
        kernel, shift = self._mixed()
        found = nn.functional.conv2d(x, kernel, padding=1)
        told = torch.sin(level) + (0 if label is None else label)
        return found + told.view(-1, 1, 1, 1) * shift.view(1, -1, 1, 1)

    def _mixed(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Two fixed linear functions of all tensors: a kernel [C', C, 3, 3] and a shift [C']."""
        tensors = list(self.state_dict(keep_vars=True).values())
        values = torch.stack([tensor.flatten() @ _waves(tensor.numel()) for tensor in tensors])
        cin, cout = self.channels
        mixed = _waves(len(tensors) * cout * (9 * cin + 1)).view(-1, len(tensors)) @ values
        return mixed[:-cout].view(cout, cin, 3, 3), mixed[-cout:]


def _waves(count: int) -> torch.Tensor:
    """[count] fixed numbers, none of them 0, of about unit length together."""
    return torch.cos(torch.arange(count, dtype=torch.float32) * 2.1) / math.sqrt(count)
