"""The signature of ``cm.script_util`` of OpenAI's consistency_models."""

from __future__ import annotations

import torch
from openai_shapes import UNet
from stand_in import StandIn

from cm import unet

NUM_CLASSES = 1000
MULTIPLES = {512: "0.5,1,1,2,2,4,4", 256: "1,1,2,2,4,4", 128: "1,1,2,3,4", 64: "1,2,3,4"}


class ADM(StandIn):
    num_classes: int | None = None

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        assert (y is not None) == (self.num_classes is not None)
        assert y is None or (y.shape == (len(x),) and not y.is_floating_point())
        return self.image(x, timesteps, None if y is None else self.label_emb.weight[y].sum(dim=1))


def create_model(
    image_size,
    num_channels,
    num_res_blocks,
    channel_mult="",
    learn_sigma=False,
    class_cond=False,
    use_checkpoint=False,
    attention_resolutions="16",
    num_heads=1,
    num_head_channels=-1,
    num_heads_upsample=-1,
    use_scale_shift_norm=False,
    dropout=0,
    resblock_updown=False,
    use_fp16=False,
    use_new_attention_order=False,
):
    assert not use_fp16
    shapes = UNet(
        num_channels,
        tuple(int(multiple) for multiple in (channel_mult or MULTIPLES[image_size]).split(",")),
        num_res_blocks,
        tuple(image_size // int(size) for size in attention_resolutions.split(",")),
        out=6 if learn_sigma else 3,
        kernel=(1, 1),
        classes=NUM_CLASSES if class_cond else None,
        blocks_resample=resblock_updown,
        scale_shift=use_scale_shift_norm,
    ).shapes()
    found = ADM(shapes, (3, 6 if learn_sigma else 3))
    found.num_classes = NUM_CLASSES if class_cond else None
    found.attention = [unet.QKVFlashAttention(num_channels, num_heads)]  # a list, since it has no tensors
    return found
