"""True moving averages of every optimisation step, exponential and power-function ones, many at once."""

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

    ``exponents`` g add averages with power profiles (:mod:`lcsc.search.post_hoc`), which keep (1 - 1/t)^(g+1) of
    themselves at step t, counted from 1; n steps to step t leave ((t-n)/t)^(g+1) of what was there before.
    """

    def __init__(
        self,
        parameters: Sequence[torch.Tensor],
        rates: Sequence[float],
        window: int = WINDOW,
        exponents: Sequence[float] = (),
    ) -> None:
        wrong = [rate for rate in rates if not 0 <= rate < 1]
        if wrong:
            raise InputError(f"train: ema_rates has {wrong[0]}, expected rates from 0 up to, not including, 1")
        self.rates, self.exponents = tuple(map(float, rates)), tuple(map(float, exponents))
        self._parameters = [parameter.detach() for parameter in parameters]
        self._sizes = [parameter.numel() for parameter in self._parameters]
        start = torch.cat([parameter.reshape(-1) for parameter in self._parameters]).float()
        self._averages = start.repeat(len(self.rates) + len(self.exponents), 1)
        self._held = start.new_empty(window, start.numel())
        self._count = self._taken = 0

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
        return self._read(self.rates.index(rate))

    def power_averages(self, exponent: float) -> list[torch.Tensor]:
        """The average with the power profile of ``exponent``, one tensor (a copy) for each parameter."""
        return self._read(len(self.rates) + self.exponents.index(exponent))

    def resume(self, rate: float, averages: Sequence[torch.Tensor]) -> None:
        """Go on from ``averages`` at ``rate``, one tensor for each parameter, instead of the first weights."""
        pieces = torch.split(self._averages[self.rates.index(rate)], self._sizes)
        for piece, average in zip(pieces, averages, strict=True):
            piece.copy_(average.reshape(-1))

    def _read(self, row: int) -> list[torch.Tensor]:
        """An average as of now; what is held stays held, so that a look does not change any later rounding."""
        flat = self._averages[row].clone()
        if self._count:
            kept, shares = self._shares()
            flat = flat * kept[row] + shares[row] @ self._held[: self._count]
        pieces = torch.split(flat, self._sizes)
        return [piece.view_as(own).clone() for piece, own in zip(pieces, self._parameters, strict=True)]

    def _absorb(self) -> None:
        """Take the held weights into the averages."""
        kept, shares = self._shares()
        self._averages.mul_(kept)
        self._averages.addmm_(shares, self._held[: self._count])
        self._taken += self._count
        self._count = 0

    def _shares(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the held steps leave of each average [R, 1], and the share of each of them in it [R, held]."""
        rates = torch.tensor(self.rates, dtype=torch.float64)[:, None]
        ages = torch.arange(self._count - 1, -1, -1, dtype=torch.float64)
        powers = torch.tensor(self.exponents, dtype=torch.float64)[:, None] + 1
        bounds = torch.arange(self._taken, self._taken + self._count + 1, dtype=torch.float64)
        before = (bounds / bounds[-1]) ** powers
        kept = torch.cat((rates**self._count, before[:, :1]))
        shares = torch.cat(((1 - rates) * rates**ages, before.diff(dim=1)))
        return kept.to(self._averages), shares.to(self._averages)
