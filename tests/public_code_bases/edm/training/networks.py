"""The signature of ``training.networks`` of EDM's code."""

from __future__ import annotations

import torch
from openai_shapes import affine
from stand_in import Shapes, StandIn


class SongUNet(StandIn):
    """DDPM++ and NCSN++ without labels and augmentation."""

    def __init__(
        self,
        img_resolution,
        in_channels,
        out_channels,
        label_dim=0,
        augment_dim=0,
        model_channels=128,
        channel_mult=(1, 2, 2, 2),
        channel_mult_emb=4,
        num_blocks=4,
        attn_resolutions=(16,),
        dropout=0.10,
        label_dropout=0,
        embedding_type="positional",
        channel_mult_noise=1,
        encoder_type="standard",
        decoder_type="standard",
        resample_filter=(1, 1),
    ):
        assert (label_dim, augment_dim, decoder_type) == (0, 0, "standard")
        self.embedding, self.filter = model_channels * channel_mult_emb, len(resample_filter)
        noise = model_channels * channel_mult_noise
        shapes: Shapes = {"map_noise.freqs": (noise // 2,)} if embedding_type == "fourier" else {}
        shapes |= affine("map_layer0", self.embedding, noise) | affine("map_layer1", self.embedding, self.embedding)
        skips, seen = [model_channels], in_channels
        shapes |= affine(f"enc.{_size(img_resolution)}_conv", model_channels, in_channels, 3, 3)
        for level, multiple in enumerate(channel_mult):
            resolution, name = img_resolution >> level, f"enc.{_size(img_resolution >> level)}"
            if level:
                shapes |= self._block(f"{name}_down", skips[-1], skips[-1], resample=True)
                if encoder_type == "residual":
                    shapes |= self._filtered(affine(f"{name}_aux_residual", skips[-1], seen, 3, 3))
                    seen = skips[-1]
                skips.append(skips[-1])
            for block in range(num_blocks):
                channels = model_channels * multiple
                attention = resolution in attn_resolutions
                shapes |= self._block(f"{name}_block{block}", skips[-1], channels, attention)
                skips.append(channels)
        channels = skips[-1]
        for level, multiple in reversed(list(enumerate(channel_mult))):
            resolution, name = img_resolution >> level, f"dec.{_size(img_resolution >> level)}"
            if level + 1 == len(channel_mult):
                shapes |= self._block(f"{name}_in0", channels, channels, attention=True)
                shapes |= self._block(f"{name}_in1", channels, channels)
            else:
                shapes |= self._block(f"{name}_up", channels, channels, resample=True)
            for block in range(num_blocks + 1):
                cin, channels = channels + skips.pop(), model_channels * multiple
                attention = block == num_blocks and resolution in attn_resolutions
                shapes |= self._block(f"{name}_block{block}", cin, channels, attention)
        shapes |= affine(f"{name}_aux_norm", channels) | affine(f"{name}_aux_conv", out_channels, channels, 3, 3)
        super().__init__(shapes, (in_channels, out_channels), buffers=("freqs", "resample_filter"))

    def _block(self, place, cin, cout, attention=False, resample=False) -> Shapes:
        found = affine(f"{place}.norm0", cin) | affine(f"{place}.conv0", cout, cin, 3, 3)
        found = self._filtered(found) if resample else found
        found |= affine(f"{place}.affine", cout, self.embedding)
        found |= affine(f"{place}.norm1", cout) | affine(f"{place}.conv1", cout, cout, 3, 3)
        if resample or cin != cout:
            skip = affine(f"{place}.skip", cout, cin, 1, 1)
            found |= self._filtered(skip) if resample else skip
        if attention:
            found |= affine(f"{place}.norm2", cout) | affine(f"{place}.qkv", 3 * cout, cout, 1, 1)
            found |= affine(f"{place}.proj", cout, cout, 1, 1)
        return found

    def _filtered(self, shapes: Shapes) -> Shapes:
        """With the filter of a convolution that resamples, which is what came last."""
        place = list(shapes)[-1].rpartition(".")[0]
        return {**shapes, f"{place}.resample_filter": (1, 1, self.filter, self.filter)}

    def forward(self, x, noise_labels, class_labels, augment_labels=None) -> torch.Tensor:
        assert class_labels is None
        return self.image(x, noise_labels)


def _size(resolution: int) -> str:
    return f"{resolution}x{resolution}"
