"""Small training recipes for the embedded runs, and the classifiers that become extractors."""

from __future__ import annotations

from lcsc.training.classifier import train_extractor
from lcsc.training.loop import continue_training, train

__all__ = ["continue_training", "train", "train_extractor"]
