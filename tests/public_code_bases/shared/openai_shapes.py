"""The tensors of OpenAI's U-Nets, as improved-diffusion and consistency_models name them."""

from __future__ import annotations

from dataclasses import dataclass

from stand_in import Shapes


@dataclass(frozen=True)
class UNet:
    """What fixes them; ``attention`` are the factors of downsampling with attention, ``kernel`` its projections'."""

    width: int
    multiples: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    out: int
    kernel: tuple[int, ...]
    classes: int | None = None
    blocks_resample: bool = False
    scale_shift: bool = True

    def shapes(self) -> Shapes:
        """Names and shapes in the order of the state dict."""
        embedding = 4 * self.width
        found = {
            **affine("time_embed.0", embedding, self.width),
            **affine("time_embed.2", embedding, embedding),
            **({"label_emb.weight": (self.classes, embedding)} if self.classes else {}),
            **affine("input_blocks.0.0", self.width * self.multiples[0], 3, 3, 3),
        }
        skips = self._down(found)
        channels = skips[-1]
        found |= self._block("middle_block.0", channels, channels)
        found |= self._attention("middle_block.1", channels)
        found |= self._block("middle_block.2", channels, channels)
        channels = self._up(found, channels, skips)
        return found | affine("out.0", channels) | affine("out.2", self.out, channels, 3, 3)

    def _down(self, found: Shapes) -> list[int]:
        skips = [self.width * self.multiples[0]]
        for level, multiple in enumerate(self.multiples):
            for _ in range(self.blocks):
                place, channels = f"input_blocks.{len(skips)}", self.width * multiple
                found |= self._block(f"{place}.0", skips[-1], channels)
                if 2**level in self.attention:
                    found |= self._attention(f"{place}.1", channels)
                skips.append(channels)
            if level + 1 < len(self.multiples):
                found |= self._resample(f"input_blocks.{len(skips)}.0", "op", skips[-1])
                skips.append(skips[-1])
        return skips

    def _up(self, found: Shapes, channels: int, skips: list[int]) -> int:
        number = 0
        for level, multiple in reversed(list(enumerate(self.multiples))):
            for block in range(self.blocks + 1):
                place, layers = f"output_blocks.{number}", 1
                found |= self._block(f"{place}.0", channels + skips.pop(), self.width * multiple)
                channels = self.width * multiple
                if 2**level in self.attention:
                    found |= self._attention(f"{place}.1", channels)
                    layers = 2
                if level and block == self.blocks:
                    found |= self._resample(f"{place}.{layers}", "conv", channels)
                number += 1
        return channels

    def _block(self, place: str, cin: int, cout: int) -> Shapes:
        found = affine(f"{place}.in_layers.0", cin) | affine(f"{place}.in_layers.2", cout, cin, 3, 3)
        found |= affine(f"{place}.emb_layers.1", (1 + self.scale_shift) * cout, 4 * self.width)
        found |= affine(f"{place}.out_layers.0", cout) | affine(f"{place}.out_layers.3", cout, cout, 3, 3)
        return found | (affine(f"{place}.skip_connection", cout, cin, 1, 1) if cin != cout else {})

    def _attention(self, place: str, channels: int) -> Shapes:
        found = affine(f"{place}.norm", channels) | affine(f"{place}.qkv", 3 * channels, channels, *self.kernel)
        return found | affine(f"{place}.proj_out", channels, channels, *self.kernel)

    def _resample(self, place: str, name: str, channels: int) -> Shapes:
        if self.blocks_resample:
            return self._block(place, channels, channels)
        return affine(f"{place}.{name}", channels, channels, 3, 3)


def affine(place: str, *shape: int) -> Shapes:
    """A weight and its bias."""
    return {f"{place}.weight": shape, f"{place}.bias": shape[:1]}
