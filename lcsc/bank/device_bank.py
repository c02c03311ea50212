"""A bank whose weights stand on a device, such as a GPU, and are combined and differentiated there.

The sums are those of :mod:`lcsc.bank.combination`, base and differences in float64, and a row that picks one checkpoint
gives it bit for bit. A device adds up in another order than the CPU: other sums may differ in their last bit, but are
the same bytes on devices of one kind, however many candidates a call has.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.bank.bank import Bank
from lcsc.bank.blocks import Run, runs_of, runs_within
from lcsc.bank.coefficient_rows import checked, row_of
from lcsc.groups import Groups

# Columns worked on at once, K of them in float64 beside the bank; and candidates multiplied at once, beside rows of
# zeros where there are fewer. Results depend on both in the last bit, so they are constants.
DEVICE_TILE, CANDIDATES = 1 << 17, 8


class DeviceBank(Bank):
    """A bank whose ``weights``, float32 [K, P], stand on a device."""

    def __init__(self, bank: Bank, weights: torch.Tensor) -> None:
        super().__init__(bank.path, bank._index)
        self.weights = weights

    @classmethod
    def of(cls, bank: Bank, device: torch.device) -> DeviceBank:
        """The streamed ``bank`` with a copy of its weights on ``device``; two blocks of them are in memory."""
        weights = torch.empty((bank.K, bank.P), dtype=torch.float32, device=device)
        for columns, block in bank.blocks():
            weights[:, columns] = torch.from_numpy(block).to(device)
        return cls(bank, weights)

    def combined(self, coefficients: NDArray[np.float64], groups: Groups | None = None) -> torch.Tensor:
        """The weights of M candidates, float32 [M, P] on the device, from coefficients float64 [M, G, K].

        As :func:`lcsc.bank.combination.combine`, but the same bytes whatever M is.
        """
        values = checked(self, coefficients, groups)
        merged = torch.empty((len(values), self.P), dtype=torch.float32, device=self.weights.device)
        batches = [
            (_Batch(values[first : first + CANDIDATES], self.weights), merged[first : first + CANDIDATES])
            for first in range(0, len(values), CANDIDATES)
        ]
        for piece, base, differences in self._pieces(groups):
            for batch, target in batches:
                batch.combine(piece, base, differences, target)
        return merged

    def coefficient_gradient(self, slopes: NDArray[np.float64], groups: Groups | None = None) -> NDArray[np.float64]:
        """The gradient in the coefficients, float64 [G, K], from that in the merged weights, ``slopes`` [P]."""
        device = self.weights.device
        given = torch.tensor(slopes, device=device)
        gradient = torch.zeros((1 if groups is None else groups.G, self.K), dtype=torch.float64, device=device)
        for (start, stop, group), base, differences in self._pieces(groups):
            local = given[start:stop]
            gradient[group] += differences @ local + base @ local
        found: NDArray[np.float64] = gradient.cpu().numpy()
        return found

    def _pieces(self, groups: Groups | None) -> Iterator[tuple[Run, torch.Tensor, torch.Tensor]]:
        """All columns in pieces of one group within one tile, with base [width] and differences [K, width]."""
        runs = runs_of(self, None if groups is None else groups.runs)
        for start in range(0, self.P, DEVICE_TILE):
            columns = slice(start, min(start + DEVICE_TILE, self.P))
            differences = self.weights[:, columns].double()
            base = differences[self.base_row].clone()
            differences -= base
            for piece in runs_within(columns, runs):
                part = slice(piece[0] - start, piece[1] - start)
                yield piece, base[part], differences[:, part]


class _Batch:
    """Up to ``CANDIDATES`` candidates, ``values`` [M, G, K], of a bank with ``weights`` [K, P]."""

    def __init__(self, values: NDArray[np.float64], weights: torch.Tensor) -> None:
        self._weights = weights
        rows = [row_of(values[:, group], CANDIDATES) for group in range(values.shape[1])]
        self._picks = [row.picks for row in rows]
        self._factors = torch.from_numpy(np.stack([row.factors for row in rows])).to(weights.device)
        self._sums = torch.from_numpy(np.stack([row.sums for row in rows])).to(weights.device)

    def combine(self, piece: Run, base: torch.Tensor, differences: torch.Tensor, merged: torch.Tensor) -> None:
        """The columns of ``piece`` into ``merged`` [M, P]."""
        start, stop, group = piece
        total = self._factors[group] @ differences
        total += self._sums[group] * base
        merged[:, start:stop] = total[: len(merged)]
        for m, k in self._picks[group]:
            merged[m, start:stop] = self._weights[k, start:stop]
