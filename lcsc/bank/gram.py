"""How the checkpoints of a bank lie to each other: inner products of their differences, for each group of weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.bank.blocks import tiles
from lcsc.groups import Groups


def centred_gram(bank: Bank, groups: Groups) -> NDArray[np.float64]:
    """Inner products (θ_k − θ̄)·(θ_l − θ̄) over the columns of each group, θ̄ the checkpoints' mean, float64 [G, K, K].

    One pass over the bank, a tile in memory. Differences from a base checkpoint are multiplied and centred at the
    end: what all checkpoints share, which is most of them, never enters.
    """
    gram = np.zeros((groups.G, bank.K, bank.K))
    for tile in tiles(bank, groups.runs):
        _, differences = tile.differences(bank.base_row)
        for piece in tile.pieces:
            part = differences[:, tile.within(piece)]
            gram[piece[2]] += part @ part.T
    gram -= gram.mean(axis=1, keepdims=True)
    gram -= gram.mean(axis=2, keepdims=True)
    return gram
