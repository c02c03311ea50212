"""The signature of ``models.diffusion`` of DDIM's code."""

from __future__ import annotations

import torch
from openai_shapes import affine
from stand_in import Shapes, StandIn


class Model(StandIn):
    """Takes the attributes of the code base's YAML file, nested as there."""

    def __init__(self, config):
        width, multiples = config.model.ch, tuple(config.model.ch_mult)
        blocks, attention = config.model.num_res_blocks, config.model.attn_resolutions
        assert config.model.resamp_with_conv
        assert config.model.type != "bayesian"
        assert config.diffusion.num_diffusion_timesteps > 0
        self.embedding = 4 * width
        shapes = affine("temb.dense.0", self.embedding, width) | affine("temb.dense.1", self.embedding, self.embedding)
        shapes |= affine("conv_in", width, config.model.in_channels, 3, 3)
        levels = range(len(multiples))
        seen = width
        for level in levels:
            channels, resolution = width * multiples[level], config.data.image_size >> level
            cins = [seen] + [channels] * (blocks - 1)
            shapes |= self._level(f"down.{level}", cins, channels, resolution in attention)
            if level != levels[-1]:
                shapes |= affine(f"down.{level}.downsample.conv", channels, channels, 3, 3)
            seen = channels
        shapes |= self._block("mid.block_1", seen, seen) | _attention("mid.attn_1", seen)
        shapes |= self._block("mid.block_2", seen, seen)
        for level in levels:
            channels, resolution = width * multiples[level], config.data.image_size >> level
            before = width * multiples[min(level + 1, levels[-1])]
            ahead = width * (1, *multiples)[level]
            cins = [before + channels] + [2 * channels] * (blocks - 1) + [channels + ahead]
            shapes |= self._level(f"up.{level}", cins, channels, resolution in attention)
            if level:
                shapes |= affine(f"up.{level}.upsample.conv", channels, channels, 3, 3)
        first = width * multiples[0]
        shapes |= affine("norm_out", first) | affine("conv_out", config.model.out_ch, first, 3, 3)
        super().__init__(shapes, (config.model.in_channels, config.model.out_ch))

    def _level(self, place: str, cins: list[int], cout: int, attention: bool) -> Shapes:
        found: Shapes = {}
        for block, cin in enumerate(cins):
            found |= self._block(f"{place}.block.{block}", cin, cout)
        for block in range(len(cins) if attention else 0):
            found |= _attention(f"{place}.attn.{block}", cout)
        return found

    def _block(self, place: str, cin: int, cout: int) -> Shapes:
        found = affine(f"{place}.norm1", cin) | affine(f"{place}.conv1", cout, cin, 3, 3)
        found |= affine(f"{place}.temb_proj", cout, self.embedding)
        found |= affine(f"{place}.norm2", cout) | affine(f"{place}.conv2", cout, cout, 3, 3)
        return found | (affine(f"{place}.nin_shortcut", cout, cin, 1, 1) if cin != cout else {})

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.image(x, t)


def _attention(place: str, channels: int) -> Shapes:
    found = affine(f"{place}.norm", channels)
    for name in ("q", "k", "v", "proj_out"):
        found |= affine(f"{place}.{name}", channels, channels, 1, 1)
    return found
