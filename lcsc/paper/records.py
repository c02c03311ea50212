"""What figures over several runs are made from: the records of these runs, each read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.report.reading import read_evaluation, read_timing
from lcsc.report.records import Evaluation, Samples

CONSTANT = "train-constant"  # the timing of a training whose checkpoints are combined


@dataclass(frozen=True)
class RunRecords:
    """The records of the run in ``folder``.

    ``about``: whose ``training`` it combines (a run, or None), the ``steps`` of that, and the images of a score of
    each of its ``searches``.
    """

    folder: Path
    about: Mapping[str, Any]

    @cached_property
    def evaluation(self) -> Evaluation:
        """Its final evaluation."""
        return read_evaluation(self.folder / "evaluation.json")

    def weights(self, method: str) -> Mapping[str, Any]:
        """What the weights of a method of its final evaluation are, as :mod:`lcsc.weights` records it."""
        rows = read_json(self.folder / "evaluation.json", kind="evaluation")["methods"]
        found: Mapping[str, Any] = next(row["weights"] for row in rows if row["name"] == method)
        return found

    @cached_property
    def samples(self) -> Samples:
        """Images of its methods on the same noise."""
        from lcsc.report.reading_samples import read_samples

        return read_samples(self.folder / "samples.npz", [method.name for method in self.evaluation.methods])

    def seconds(self, pattern: str) -> float:
        """What the jobs whose timings match ``pattern`` took together; :class:`InputError` where there is none."""
        return sum(read_timing(path).seconds for path in self._timings(pattern))

    def search_seconds(self, search: str) -> float:
        """What all rounds of a search took, and choosing among its finalists."""
        self._require_all_rounds(search)
        return self.seconds(_rounds(search)) + self.seconds(f"select-{search}")

    def workers(self, search: str) -> int:
        """How many workers shared the scores of a search; the fewest that a round had."""
        return min(int(read_json(path, kind="timing")["workers"]) for path in self._timings(_rounds(search)))

    def _require_all_rounds(self, search: str) -> None:
        """Refuse timings that are not of all evaluations of a search: its seconds would silently lack those of some."""
        path = self.folder / "search" / search / "selection.json"
        expected = int(read_json(path, kind="selection")["evaluations"])
        paths = self._timings(_rounds(search))
        found = sum(read_timing(each).evaluations for each in paths)
        if found != expected:
            raise InputError(
                f"{self.folder / 'timings'}: {', '.join(each.name for each in paths)}: found {found:,} evaluations, "
                f"expected {expected:,} as in {path}; a round's timing is missing, or of another search: remove "
                "them and the search's generations, and make the run again"
            )

    def _timings(self, pattern: str) -> list[Path]:
        paths = sorted((self.folder / "timings").glob(f"{pattern}.json"))
        if not paths:
            raise InputError(
                f"{self.folder / 'timings'}: found no {pattern}.json; make the run again with the workflow"
            )
        return paths

    @property
    def training(self) -> RunRecords:
        """The run whose training it combines; :class:`InputError` for checkpoints of one's own."""
        owner = self.about["training"]
        if owner is None:
            raise InputError(
                f"run {self.folder.name!r}: found no training of the workflow, expected one to know its cost"
            )
        return RunRecords(self.folder.parent / owner, {**self.about, "training": owner})


def _rounds(search: str) -> str:
    """Matches the timings of the rounds of a search, and of no other whose name goes on."""
    return f"search-{search}-[0-9][0-9][0-9][0-9]"


@dataclass(frozen=True)
class Records:
    """The runs in the folder ``results``, what the configuration says ``about`` each, and all ``figures`` by name."""

    results: Path
    about: Mapping[str, Mapping[str, Any]]
    figures: Mapping[str, Mapping[str, Any]]
    _known: dict[str, RunRecords] = field(default_factory=dict)

    def run(self, name: str) -> RunRecords:
        """The records of the run called ``name``."""
        if name not in self.about:
            raise InputError(f"--settings: runs: lacks {name!r}, which a figure shows; `lcsc settings` prints them")
        return self._known.setdefault(name, RunRecords(self.results / name, self.about[name]))

    def evaluations(self, names: Sequence[str]) -> tuple[Evaluation, ...]:
        """The final evaluations of runs, in their order."""
        return tuple(self.run(name).evaluation for name in names)
