"""Images: two files for each data set, training and held-out, and the grid of values that images live on.

Sources of images are functions in :mod:`lcsc.data.sources`; :func:`prepare` splits what they give once, and
everything else reads the two files. Training and every search read the training file only; nothing opens the
held-out file before the final evaluation.
"""

from lcsc.data.parts import (
    FORMAT,
    FORMAT_VERSION,
    PARTS,
    Part,
    PartName,
    load_part,
    require_training_part,
)
from lcsc.data.preparation import prepare, split
from lcsc.data.values import quantise, to_bytes, to_float

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "PARTS",
    "Part",
    "PartName",
    "load_part",
    "prepare",
    "quantise",
    "require_training_part",
    "split",
    "to_bytes",
    "to_float",
]
