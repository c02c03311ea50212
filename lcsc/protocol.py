"""The protocol: all that fixes a score. Scores of different protocols are never compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lcsc.errors import InputError
from lcsc.files import hash_of


@dataclass(frozen=True)
class Protocol:
    """How coefficients become a score.

    ``generator`` holds the settings of network, preconditioning and sampler; ``extractor`` and ``reference`` the
    names and hashes of what measures. What is measured is no part of it: records name their bank beside it.
    """

    generator: Mapping[str, Any]
    nfe: int
    purpose: str
    seed: int
    iteration: int
    images: int
    chunk: int
    candidates_per_block: int
    extractor: Mapping[str, Any]
    reference: Mapping[str, Any]
    device: str
    threads: int
    quantised: bool = True
    distance: str = "frechet"

    @property
    def hash(self) -> str:
        """Hexadecimal sha256 of all fields."""
        return hash_of(asdict(self))

    def words(self) -> str:
        """The protocol as a sentence for people."""
        named = distance_name(self.extractor.get("words", self.extractor["name"]), self.extractor.get("measure"))
        part = "training" if self.reference["part"] == "train" else self.reference["part"]
        return (
            f"{named}: Fréchet distance in float64 between {self.images:,} generated images "
            f"({self.nfe} network evaluation{'s' if self.nfe != 1 else ''} each{self._precision_words()}, "
            f"{self.purpose} noise of seed "
            f"{self.seed}, {'rounded to uint8' if self.quantised else 'not rounded'}) and the "
            f"{part} images of {self.reference['data']}, on {self.device}.{self._variant_words()}"
        )

    def _precision_words(self) -> str:
        """The precision that the network is evaluated in, where that is not float32 throughout."""
        precision = self.generator.get("network", {}).get("autocast")
        return f" in {precision} (autocast)" if precision else ""

    def _variant_words(self) -> str:
        """What a faster variant of an extractor costs, where the reference has it."""
        if "variant_distance" not in self.reference:
            return ""
        features, distance = (float(self.reference[f"variant_{what}"]) for what in ("features", "distance"))
        return (
            f" It is a faster variant for searches: on these images its features differ from the exact ones by "
            f"{features:.2%} of their spread, its distances by {distance:.2%}."
        )


def distance_name(words: str, measure: str | None = None) -> str:
    """What a Fréchet distance is called: by its ``measure`` such as "FID (clean)", else FD with its extractor."""
    return measure or f"FD ({words})"


def require_protocol(found: str, expected: str, where: str) -> None:
    """Refuse scores that were made under another protocol."""
    if found != expected:
        raise InputError(
            f"{where}: protocol {found[:12]}, expected {expected[:12]}; the settings, the extractor, the reference or "
            "the bank have changed since: remove the file, or use the settings that made it"
        )


def require_bank(found: str, expected: str, where: object) -> None:
    """Refuse what was made from another bank (by its identity)."""
    if found != expected:
        raise InputError(
            f"{where}: made from bank {found[:12]}, expected {expected[:12]}; the checkpoints have changed since: make "
            "it again, or give the bank it was made from"
        )
