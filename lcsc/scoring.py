"""What a scoring step works with: bank, generators, extractor, reference and the protocol that names them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lcsc import seeds
from lcsc.bank import Bank
from lcsc.bank.combination import combined
from lcsc.bank.placement import placed
from lcsc.dry_check import check_generator
from lcsc.errors import InputError
from lcsc.evaluation import Evaluator, Score, Workers
from lcsc.extractors import Extractor, load_extractor
from lcsc.generators import Generator, build_generator, generator_settings, image_shape_of, recorded
from lcsc.groups import Groups
from lcsc.metrics.reference_file import ReferenceFile, read_reference
from lcsc.noise import Noise
from lcsc.protocol import Protocol
from lcsc.search.base import Candidate
from lcsc.search.journal import Journal


@dataclass(frozen=True)
class Context:
    """One run's bank (see :mod:`lcsc.bank.placement`) and generators under its scoring settings, on one device."""

    settings: Mapping[str, Any]
    bank: Bank
    workers: Workers
    device: torch.device
    nfe: int
    image_shape: tuple[int, ...]
    noise_shapes: tuple[tuple[int, ...], ...]
    classes: int | None

    @classmethod
    def open(cls, settings: Mapping[str, Any], bank_path: Path, device: torch.device, count: int) -> Context:
        """Open the bank and build ``count`` workers' generators (one on a GPU, which one worker fills).

        Raises :class:`InputError` where they do not fit the bank or make no images of its first checkpoint.
        """
        bank = Bank.open(bank_path)
        own, others = generator_settings(settings), bank.others()

        def make() -> Generator:
            return build_generator(own, bank.tensors, others, device)

        first, image_shape = make(), image_shape_of(own)
        check_generator(first, bank, image_shape)
        workers = Workers(make, count if device.type == "cpu" else 1, int(settings["threads"]))
        shapes = tuple(tuple(map(int, shape)) for shape in first.noise_shapes)
        return cls(settings, placed(bank, device), workers, device, first.nfe, image_shape, shapes, first.classes)

    def noise(self, purpose: seeds.Purpose, iteration: int, images: int) -> Noise:
        """The noise of one purpose and iteration for ``images`` samples."""
        seed = int(self.settings["evaluation"]["seed"])
        return Noise(purpose, seed, iteration, images, self.noise_shapes, self.classes)

    def evaluator(
        self,
        extractor: Extractor,
        reference: ReferenceFile,
        purpose: seeds.Purpose,
        images: int,
        iteration: int = 0,
    ) -> Evaluator:
        """An evaluator on the noise of ``purpose``; refuses a reference that another extractor made."""
        require_match(extractor, reference)
        noise = self.noise(purpose, iteration, images)
        return Evaluator(self.workers, extractor, reference.reference, noise, self.chunk)

    @property
    def chunk(self) -> int:
        """Images made and measured at once."""
        return int(self.settings["evaluation"]["chunk"])

    @property
    def block(self) -> int:
        """Candidates combined in one pass over the bank."""
        return int(self.settings["evaluation"]["candidates_per_block"])

    def protocol(
        self, extractor: Extractor, reference: ReferenceFile, purpose: str, images: int, iteration: int = 0
    ) -> Protocol:
        """The protocol of scores by ``extractor`` against ``reference``."""
        return Protocol(
            generator=recorded(generator_settings(self.settings)),
            nfe=self.nfe,
            purpose=purpose,
            seed=int(self.settings["evaluation"]["seed"]),
            iteration=iteration,
            images=images,
            chunk=self.chunk,
            candidates_per_block=self.block,
            extractor={
                "name": extractor.name,
                "sha256": extractor.identity,
                "dimension": extractor.dimension,
                **({"words": extractor.words} if extractor.words != extractor.name else {}),
                **extractor.measured,
            },
            reference={**reference.about, "identity": reference.identity},
            device=self.device.type,
            threads=int(self.settings["threads"]),
        )


def require_match(extractor: Extractor, reference: ReferenceFile) -> None:
    """Refuse a reference whose features another extractor made."""
    made_by = reference.about["extractor_sha256"]
    dimension = reference.reference.statistics.dimension
    if dimension != extractor.dimension:
        raise InputError(
            f"reference {reference.about['data']} ({reference.about['part']}): dimension {dimension}, expected "
            f"{extractor.dimension} as extractor '{extractor.name}' makes; build the reference with this extractor"
        )
    if made_by not in (extractor.identity, "unknown"):
        raise InputError(
            f"reference {reference.about['data']} ({reference.about['part']}): made by extractor {made_by[:12]}, "
            f"expected '{extractor.name}' {extractor.identity[:12]}; build the reference with this extractor"
        )


def require_training_part(reference: ReferenceFile) -> None:
    """Refuse statistics of held-out images: nothing but the final evaluation may see them."""
    if reference.about["part"] == "held-out":
        raise InputError(
            f"reference {reference.about['data']}: found statistics of the held-out images, expected those of the "
            "training images; no baseline, search or selection may see what the final evaluation reports"
        )


def load_measures(
    extractor_paths: Sequence[Path], reference_paths: Sequence[Path], device: torch.device
) -> tuple[list[Extractor], list[ReferenceFile]]:
    """The extractors and references of a step."""
    return (
        [load_extractor(path, device) for path in extractor_paths],
        [read_reference(path) for path in reference_paths],
    )


def score_candidates(
    context: Context,
    evaluator: Evaluator,
    candidates: Sequence[Candidate],
    *,
    groups: Groups | None = None,
    journal: Journal | None = None,
    done: Callable[[Score, bool], None] = lambda score, known: None,
) -> list[Score]:
    """Scores of ``candidates`` in their order; ``done`` sees each with whether the journal knew it.

    ``groups`` says which tensors take which row of the coefficients; without it there is one row.

    Candidates are combined in blocks of a fixed number, the last one padded, since the rounding of a matrix
    product depends on its shape: so a candidate's weights depend on its coefficients and its place alone. The seconds
    of a score hold its share of the combining, as those of a gradient do.
    """
    size = context.block
    blocks = [candidates[start : start + size] for start in range(0, len(candidates), size)]

    def work(block: Sequence[Candidate]) -> list[Score]:
        known = [journal.get(candidate) if journal is not None else None for candidate in block]
        began = time.perf_counter()
        weights = None if all(known) else combined(context.bank, _padded(block, size), groups)
        combining = (time.perf_counter() - began) / max(known.count(None), 1)
        scores = []
        for index, (candidate, found) in enumerate(zip(block, known, strict=True)):
            score = found
            if score is None:
                assert weights is not None
                score = evaluator.score(weights[index])
                score = replace(score, seconds=score.seconds + combining)
                if journal is not None:
                    journal.add(candidate, score)
            done(score, found is not None)
            scores.append(score)
        return scores

    return [score for scores in context.workers.map(work, blocks) for score in scores]


def _padded(block: Sequence[Candidate], size: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = [candidate.coefficients for candidate in block]
    return np.stack(rows + [rows[0]] * (size - len(rows)))
