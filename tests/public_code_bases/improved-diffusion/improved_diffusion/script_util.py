"""The signature of ``improved_diffusion.script_util`` of OpenAI's improved-diffusion."""

from __future__ import annotations

import torch
from openai_shapes import UNet
from stand_in import StandIn

NUM_CLASSES = 1000
MULTIPLES = {256: (1, 1, 2, 2, 4, 4), 64: (1, 2, 3, 4), 32: (1, 2, 2, 2)}


class UNetModel(StandIn):
    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        assert y is None
        return self.image(x, timesteps)


def create_model(
    image_size,
    num_channels,
    num_res_blocks,
    learn_sigma,
    class_cond,
    use_checkpoint,
    attention_resolutions,
    num_heads,
    num_heads_upsample,
    use_scale_shift_norm,
    dropout,
):
    shapes = UNet(
        num_channels,
        MULTIPLES[image_size],
        num_res_blocks,
        tuple(image_size // int(size) for size in attention_resolutions.split(",")),
        out=6 if learn_sigma else 3,
        kernel=(1,),
        classes=NUM_CLASSES if class_cond else None,
        scale_shift=use_scale_shift_norm,
    ).shapes()
    return UNetModel(shapes, (3, 6 if learn_sigma else 3))
