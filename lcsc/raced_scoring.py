"""Scores the candidates of a generation in two stages: heats on few images, then all images for the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lcsc.evaluation import Score
from lcsc.files import hash_of
from lcsc.search.base import Candidate
from lcsc.search.driver import Done, ScoreAll
from lcsc.search.journal import Journal
from lcsc.search.racing import Race
from lcsc.search_scoring import SearchScoring


@dataclass(frozen=True)
class RacedScoring:
    """Stands where :class:`lcsc.search_scoring.SearchScoring` does in a search that races its candidates.

    ``heats`` and ``full`` score on few and on all images. Heats have a journal of their own.
    """

    full: ScoreAll
    heats: ScoreAll
    race: Race
    heat_journal: Journal

    @classmethod
    def of(cls, scoring: SearchScoring, race: Race, about: Mapping[str, Any], folder: Path) -> RacedScoring:
        """The same scores as ``scoring`` gives, for those who win ``race``; the journals are in ``folder``.

        ``about`` says what the search's generations say of themselves.
        """
        noise = scoring.context.noise("search", 0, race.images)
        heats = replace(scoring, evaluator=replace(scoring.evaluator, noise=noise))
        return cls(scoring, heats, race, heat_journal(folder, about, race))

    def __call__(
        self, candidates: Sequence[Candidate], journal: Journal, with_gradients: bool, done: Done
    ) -> list[Score]:
        """The scores of ``candidates``: of the best on all images, of the others with no value but ``raced``."""
        known = [self.heat_journal.get(candidate) is not None for candidate in candidates]
        heats = self.heats(candidates, self.heat_journal, False, lambda score, known: None)
        places = self.race.winners([heat.value for heat in heats])
        scores = [_raced_out(heat) for heat in heats]
        for place in sorted(set(range(len(candidates))) - set(places)):
            done(scores[place], known[place])
        full = self.full([candidates[place] for place in places], journal, False, done)
        for place, score in zip(places, full, strict=True):
            scores[place] = score
        return scores


def heat_journal(folder: Path, about: Mapping[str, Any], race: Race) -> Journal:
    """The journal of the heats in ``folder``; ``about`` says what the search's generations say of themselves."""
    groups = about["settings"].get("groups", "all")
    return Journal(folder, hash_of([about["protocol"], about["bank"], groups, "heat", race.images]))


def _raced_out(heat: Score) -> Score:
    """The score of a candidate that goes no further: a failed one stays failed."""
    return heat if heat.value is None else Score(None, None, heat.seconds, raced=heat.value)
