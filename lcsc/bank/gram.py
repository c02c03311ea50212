"""How the checkpoints of a bank lie to each other: inner products of their differences, for each group of weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.bank.combination import TILE, differences_of, group_pieces
from lcsc.groups import Groups


def centred_gram(bank: Bank, groups: Groups) -> NDArray[np.float64]:
    """Inner products (θ_k − θ̄)·(θ_l − θ̄) over the columns of each group, θ̄ the checkpoints' mean, float64 [G, K, K].

    One pass over the bank, a tile in memory. Differences from a base checkpoint are multiplied and centred at the
    end: what all checkpoints share, which is most of them, never enters.
    """
    gram = np.zeros((groups.G, bank.K, bank.K))
    pieces = group_pieces(groups.runs, bank.P)
    piece = next(pieces, None)
    for columns, weights in bank.blocks():
        for start in range(columns.start, columns.stop, TILE):
            stop = min(start + TILE, columns.stop)
            _, differences = differences_of(weights[:, start - columns.start : stop - columns.start], bank.base_row)
            while piece is not None and piece[0] < stop:
                part = differences[:, piece[0] - start : piece[1] - start]
                gram[piece[2]] += part @ part.T
                piece = next(pieces, None)
    gram -= gram.mean(axis=1, keepdims=True)
    gram -= gram.mean(axis=2, keepdims=True)
    return gram
