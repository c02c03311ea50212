"""True exponential moving averages of every optimisation step, at many rates at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lcsc.errors import InputError

WINDOW = 16


class EMATracker:
    """The recursion m <- r m + (1 - r) theta for each rate r, started at the weights before the first step.

    Weights of up to ``window`` steps are held, and go into all averages by one matrix product:
    m_n = r^n m_0 + sum_j (1 - r) r^(n-1-j) theta_j. The averages then travel through memory once for each
    window, not once for each step, which at seventeen rates would cost about as much as the training itself.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], rates: Sequence[float], window: int = WINDOW) -> None:
        wrong = [rate for rate in rates if not 0 <= rate < 1]
        if wrong:
            raise InputError(f"train: ema_rates has {wrong[0]}, expected rates from 0 up to, not including, 1")
        self.rates = tuple(float(rate) for rate in rates)
        self._parameters = [parameter.detach() for parameter in parameters]
        self._sizes = [parameter.numel() for parameter in self._parameters]
        start = torch.cat([parameter.reshape(-1) for parameter in self._parameters]).float()
        self._averages = start.repeat(len(self.rates), 1)
        self._held = start.new_empty(window, start.numel())
        self._count = 0

    def update(self) -> None:
        """Take in the weights as they are now; called once after each optimisation step."""
        pieces = torch.split(self._held[self._count], self._sizes)
        views = [piece.view_as(parameter) for piece, parameter in zip(pieces, self._parameters, strict=True)]
        torch._foreach_copy_(views, self._parameters)
        self._count += 1
        if self._count == len(self._held):
            self._absorb()

    def averages(self, rate: float) -> list[torch.Tensor]:
        """The average at ``rate``, one tensor (a copy) for each parameter."""
        self._absorb()
        pieces = torch.split(self._averages[self.rates.index(rate)], self._sizes)
        return [piece.view_as(own).clone() for piece, own in zip(pieces, self._parameters, strict=True)]

    def _absorb(self) -> None:
        """Take the held weights into the averages."""
        if not self._count:
            return
        rates = torch.tensor(self.rates, dtype=torch.float64)[:, None]
        ages = torch.arange(self._count - 1, -1, -1, dtype=torch.float64)
        shares = ((1 - rates) * rates**ages).to(self._averages)
        self._averages.mul_((rates**self._count).to(self._averages))
        self._averages.addmm_(shares, self._held[: self._count])
        self._count = 0
