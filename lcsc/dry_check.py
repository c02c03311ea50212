"""Two images before any work: a network that cannot make them is found before hours of it, and not after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lcsc.errors import InputError, LcscError, whole_reason_of
from lcsc.generators import Generator
from lcsc.noise import Noise

if TYPE_CHECKING:
    from lcsc.bank import Bank

IMAGES = 2


def check_generator(generator: Generator, bank: Bank, image_shape: Sequence[int]) -> torch.Tensor:
    """Images of the first checkpoint of ``bank``, [2, *image_shape] on the CPU, made to see whether they can be.

    Names and shapes of the tensors are checked when a generator is built. Raises :class:`InputError` where it makes no
    finite images of ``image_shape``, with what its network says.
    """
    generator.load(bank.checkpoint(0))
    draw = Noise("search", 0, 0, IMAGES, generator.noise_shapes, generator.classes).chunk(0, IMAGES)
    if generator.classes is not None:
        # The first and the last class: labels by chance may all be ones that the network knows.
        draw = draw._replace(labels=torch.tensor([0, generator.classes - 1]))
    draw = draw.to(generator.device)
    try:
        with torch.inference_mode():
            images = generator(draw.arrays, draw.labels).cpu()
    except LcscError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {whole_reason_of(error)}"
        raise InputError(f"generator: makes no images ({reason}); {_way_out(generator)}") from error
    expected = [IMAGES, *image_shape]
    if list(images.shape) != expected:
        raise InputError(
            f"generator: makes images of shape {list(images.shape)}, expected {expected} as image_shape says; correct "
            "one of them"
        )
    if not bool(torch.isfinite(images).all()):
        broken = int((~torch.isfinite(images)).sum())
        raise InputError(
            f"generator: {broken} of {images.numel()} values are not finite in images of the checkpoint of step "
            f"{bank.steps[0]}; check network, preconditioning and sampler, and that the checkpoint is of this network"
        )
    return images


def _way_out(generator: Generator) -> str:
    if generator.classes is None:
        return "correct network (its `classes`, where it is class-conditional), preconditioning or sampler"
    return f"correct network (`classes` is {generator.classes}, `label_form`, `label_argument`) or sampler"
