"""How networks of different code bases are called, in what precision, and what of their output is the image."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lcsc.errors import InputError

# Names of the class labels' argument: OpenAI's networks; EDM's and diffusers'; others.
LABEL_ARGUMENTS = ("y", "class_labels", "labels")
INDEX, ONE_HOT = "index", "one-hot"
PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class CallForm:
    """A network is called with images [B, C, H, W] and noise levels [B] by position, and class labels by keyword.

    ``label_argument`` is that keyword, None for a network that takes none; with ``classes`` None it gets None. Labels
    are integers [B], or with ``one_hot`` rows [B, classes] of the images' type, as EDM's networks take them.
    ``autocast`` is the precision of matrix products and convolutions; images and weights keep theirs.
    """

    label_argument: str | None = None
    classes: int | None = None
    one_hot: bool = False
    autocast: torch.dtype | None = None

    @classmethod
    def of(cls, module: nn.Module, settings: Mapping[str, Any]) -> CallForm:
        """How ``module`` is called by the config's ``network`` section; :class:`InputError` where it is not said."""
        classes, form = settings.get("classes"), str(settings.get("label_form") or INDEX)
        if form not in (INDEX, ONE_HOT):
            raise InputError(f"network: label_form is {form!r}, expected {INDEX!r} or {ONE_HOT!r}")
        argument = settings.get("label_argument") or _label_argument(module, required=classes is None)
        if classes is not None and argument is None:
            raise InputError(
                f"network: {type(module).__name__} has no argument {', '.join(LABEL_ARGUMENTS)} for its {classes} "
                "classes; name the one it has with network.label_argument, or remove network.classes"
            )
        return cls(argument, classes, form == ONE_HOT, _precision(settings.get("autocast")))

    def __call__(
        self,
        function: Callable[..., Any],
        x: torch.Tensor,
        noise_level: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The image that ``function``, the network or one that stands for it, makes; of the type of ``x``."""
        if (labels is None) != (self.classes is None):
            raise InputError("labels: found none for a class-conditional network, or some for one that has no classes")
        keywords = {} if self.label_argument is None else {self.label_argument: self._formed(labels, x)}
        with self._in_precision(x.device):
            output = function(x, noise_level, **keywords)
        return image_of(output).to(x.dtype)

    def _formed(self, labels: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor | None:
        if labels is None or not self.one_hot:
            return labels
        assert self.classes is not None
        return nn.functional.one_hot(labels, self.classes).to(x.dtype)

    def _in_precision(self, device: torch.device) -> AbstractContextManager[object]:
        return nullcontext() if self.autocast is None else torch.autocast(device.type, self.autocast)

    def require(self, device: torch.device) -> None:
        """Refuse a precision that ``device`` does not calculate in."""
        if self.autocast == torch.float16 and device.type == "cpu":
            raise InputError("network: autocast is float16 on a CPU, expected bfloat16 or null; or set device: cuda")
        if self.autocast == torch.bfloat16 and device.type == "cuda" and not torch.cuda.is_bf16_supported(False):
            name = torch.cuda.get_device_name(device)
            raise InputError(f"network: autocast is bfloat16, which {name} does not have; take float16 or null")


def image_of(output: Any) -> torch.Tensor:
    """The tensor of a network's ``output``: itself, its ``sample`` (diffusers), or the first of a tuple or list.

    Raises :class:`InputError` where there is none.
    """
    found = getattr(output, "sample", output)
    if isinstance(found, Sequence) and found:
        found = found[0]
    if not isinstance(found, torch.Tensor):
        raise InputError(
            f"network: its output is {type(output).__name__}, expected a tensor, an object with a tensor 'sample', or "
            "a tuple that begins with a tensor; wrap the network in a factory of your own"
        )
    return found


def _label_argument(module: nn.Module, *, required: bool) -> str | None:
    """The argument of ``module`` for class labels; with ``required`` only one that must be given."""
    parameters = inspect.signature(module.forward).parameters
    for name in LABEL_ARGUMENTS:
        if name in parameters and (not required or parameters[name].default is inspect.Parameter.empty):
            return name
    return None


def _precision(name: str | None) -> torch.dtype | None:
    if name is not None and name not in PRECISIONS:
        raise InputError(f"network: autocast is {name!r}, expected null or one of {', '.join(PRECISIONS)}")
    return None if name is None else PRECISIONS[name]
