"""Generations in shares: the same bytes as in one job, and shares of anything else are refused."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from test_cli import SEARCH, lcsc, measures, one_error_line, settings
from tiny import SCORING

from lcsc.config.settings import SHARD_COUNTS
from lcsc.errors import InputError
from lcsc.evaluation import Score
from lcsc.gradients import PARTS
from lcsc.groups import make_groups
from lcsc.runtime import deterministic
from lcsc.search import SEARCHES, Candidate, averaging
from lcsc.search.journal import Journal
from lcsc.search_scoring import SearchScoring
from lcsc.shard_files import COUNTS, Shard, Share, Task, read_share, read_shares, write_share
from lcsc.shards import Joined, backward, forward

ABOUT = {"protocol": "p" * 64, "bank": "b" * 64, "settings": {"method": "gradient"}}
GRADIENT = {"method": "gradient", "seed": 0, "groups": "tensor", "initial_rates": [0.9], "penalty": 0.0, "bound": None}


@pytest.fixture
def scoring(tiny_run):
    with deterministic(1):
        context = tiny_run.context()
        evaluator = context.evaluator(tiny_run.extractor("cnn"), tiny_run.reference("cnn"), "search", 130)
        evaluator = dataclasses.replace(evaluator, chunk=20)
        yield SearchScoring(context, evaluator, make_groups(context.bank.tensors, "tensor"))


def candidates_of(scoring, count):
    K, G = scoring.context.bank.K, scoring.groups.G
    rows = [averaging.single(K, k % K) * 0.7 + averaging.uniform(K) * 0.3 for k in range(count)]
    return [Candidate(np.repeat(row, G, axis=0), str(k)) for k, row in enumerate(rows)]


def ignore(score, known):
    pass


def scored_by(scoring, candidates, folder, with_gradients):
    return scoring(candidates, Journal(folder / "journal", "k" * 64), with_gradients, ignore)


def scored_in_shares(scoring, candidates, folder, with_gradients, count):
    """Through files, as jobs do."""
    task = Task.of(ABOUT, 3, "parent", candidates, with_gradients)
    shares, stages = [Shard(index, count) for index in range(1, count + 1)], ["forward", "backward"]
    for stage in stages if with_gradients else stages[:1]:
        for shard in shares:
            if stage == "forward":
                journal = Journal(folder / "journal", "k" * 64, f"shard-{shard.index}")
                made = forward(scoring, candidates, journal, task, shard)
            else:
                before = [folder / f"forward-{index}" for index in range(1, count + 1)]
                made = backward(scoring, candidates, read_shares(before, task, "forward"), shard)
            write_share(folder / f"{stage}-{shard.index}", made)
    paths = [folder / f"{stage}-{index}" for index in range(count, 0, -1)]
    joined = Joined(
        scoring, lambda asked, wanted: read_shares(paths, Task.of(ABOUT, 3, "parent", asked, wanted), stage)
    )
    return joined(candidates, Journal(folder / "joined", "k" * 64), with_gradients, ignore)


@pytest.mark.parametrize("count", [1, 2, 4, 16])
def test_scores_with_gradients_are_the_same_bytes_in_any_number_of_shards(scoring, tmp_path, count):
    candidates = candidates_of(scoring, 2)
    whole = scored_by(scoring, candidates, tmp_path / "whole", True)
    shared = scored_in_shares(scoring, candidates, tmp_path / "shared", True, count)
    assert [score.value for score in shared] == [score.value for score in whole]
    assert [score.gradient.tobytes() for score in shared] == [score.gradient.tobytes() for score in whole]
    assert np.abs(whole[0].gradient).max() > 0
    assert len(Journal(tmp_path / "shared" / "joined", "k" * 64)) == 2


@pytest.mark.parametrize(("count", "candidates"), [(1, 8), (2, 8), (4, 8), (4, 2)])
def test_values_are_the_same_bytes_in_any_number_of_shards(scoring, tmp_path, count, candidates):
    asked = candidates_of(scoring, candidates)
    whole = scored_by(scoring, asked, tmp_path / "whole", False)
    assert scored_in_shares(scoring, asked, tmp_path / "shared", False, count) == [
        dataclasses.replace(score, seconds=pytest.approx(score.seconds, abs=9)) for score in whole
    ]


def test_a_shard_takes_whole_blocks_and_knows_what_any_shard_has_scored(scoring, tmp_path):
    candidates = candidates_of(scoring, 8)  # in blocks of 3
    task = Task.of(ABOUT, 0, None, candidates, False)
    journals = [Journal(tmp_path, "k" * 64, f"shard-{index}") for index in (1, 2)]
    places = [sorted(forward(scoring, candidates, journals[i], task, Shard(i + 1, 2)).scores) for i in (0, 1)]
    assert places == [[0, 1, 2], [3, 4, 5, 6, 7]]
    assert len({journal.path for journal in journals}) == 2
    assert [len(journal.path.read_text().splitlines()) for journal in journals] == [3, 5]
    again = Journal(tmp_path, "k" * 64)
    assert len(again) == 8
    seen = []
    scoring(candidates, again, False, lambda score, known: seen.append(known))
    assert seen == [True] * 8


def test_a_line_that_another_job_is_writing_is_not_there_and_is_left_alone(scoring, tmp_path):
    other = Journal(tmp_path, "k" * 64, "shard-1")
    candidate = candidates_of(scoring, 1)[0]
    other.add(candidate, Score(1.5))
    half = other.path.read_bytes() + other.path.read_bytes()[:-20]
    other.path.write_bytes(half)
    assert Journal(tmp_path, "k" * 64, "shard-2").get(candidate) == Score(1.5)
    assert other.path.read_bytes() == half


def test_known_gradients_are_handed_on(scoring, tmp_path):
    candidates = candidates_of(scoring, 1)
    (whole,) = scored_by(scoring, candidates, tmp_path, True)
    task, journal = Task.of(ABOUT, 3, "parent", candidates, True), Journal(tmp_path / "journal", "k" * 64)
    share = forward(scoring, candidates, journal, task, Shard(1, 1))
    assert not share.arrays
    write_share(tmp_path / "share", share)
    after = backward(scoring, candidates, [read_share(tmp_path / "share")], Shard(1, 1))
    assert after.scores[0].gradient.tobytes() == whole.gradient.tobytes()


def test_candidates_without_images_have_their_reason(scoring, tmp_path):
    K, G = scoring.context.bank.K, scoring.groups.G
    wild = np.zeros((G, K))
    wild[:, :2] = [[1e30, 1 - 1e30]]
    beyond = np.zeros((G, K))
    beyond[:, :2] = [[1e300, -1e300]]
    candidates = [Candidate(wild, "wild"), Candidate(beyond, "beyond"), *candidates_of(scoring, 1)]
    whole = scored_by(scoring, candidates, tmp_path / "whole", True)
    shared = scored_in_shares(scoring, candidates, tmp_path / "shared", True, 2)
    assert [(s.value, s.reason) for s in shared] == [(s.value, s.reason) for s in whole]
    assert shared[1].reason == "the combined weights are not finite"
    assert shared[0].value is None
    assert shared[2].value is not None


def share_of(task, index=1, count=2, stage="forward"):
    return Share(task, stage, Shard(index, count))


def test_foreign_shares_are_refused_by_what_differs(scoring, tmp_path):
    candidates = candidates_of(scoring, 2)
    task = Task.of(ABOUT, 3, "parent", candidates, True)
    others = {
        "protocol": dataclasses.replace(task, protocol="q" * 64),
        "bank": dataclasses.replace(task, bank="c" * 64),
        "settings": Task.of({**ABOUT, "settings": {}}, 3, "parent", candidates, True),
        "generation": dataclasses.replace(task, generation=4),
        "parent": dataclasses.replace(task, parent="another"),
        "candidates": Task.of(ABOUT, 3, "parent", candidates[:1], True),
        "with_gradients": dataclasses.replace(task, with_gradients=False),
    }
    assert set(others) == {field.name for field in dataclasses.fields(Task)}
    write_share(tmp_path / "1", share_of(task))
    for name, other in others.items():
        write_share(tmp_path / "2", share_of(other, 2))
        with pytest.raises(InputError, match=rf"2: {name} .*, expected .*another generation or search: remove it"):
            read_shares([tmp_path / "1", tmp_path / "2"], task, "forward")
    for wrong, message in [
        (share_of(task), "2: is shard 1/2, as .*1 is"),
        (share_of(task, 2, 4), "2: is shard 2/4, found 2 files"),
        (share_of(task, 2, stage="backward"), "2: is of the stage backward, expected forward"),
    ]:
        write_share(tmp_path / "2", wrong)
        with pytest.raises(InputError, match=message):
            read_shares([tmp_path / "1", tmp_path / "2"], task, "forward")
    (tmp_path / "2").write_bytes(b"no archive")
    with pytest.raises(InputError, match="2: cannot be read as a shard of a generation"):
        read_shares([tmp_path / "1", tmp_path / "2"], task, "forward")
    np.savez(tmp_path / "3.npz", about=np.asarray("{}"))
    with pytest.raises(InputError, match="found format None, expected 'lcsc-shard'"):
        read_share(tmp_path / "3.npz")


def test_machines_that_calculate_differently_are_noticed(scoring):
    candidates = candidates_of(scoring, 1)
    task = Task.of(ABOUT, 3, "parent", candidates, True)
    arrays = {0: np.ones(scoring.context.bank.P)}
    shares = [Share(task, "backward", Shard(i, 2), values={0: 1.0 + i}, arrays=arrays) for i in (1, 2)]
    with pytest.raises(InputError, match=r"distances \[2.0, 3.0\], expected one; the shards' machines"):
        Joined(scoring, lambda asked, wanted: shares)(candidates, None, True, ignore)


@pytest.mark.parametrize("text", ["3/2", "0/2", "1/3", "1/32", "2", "a/b", "-1/2"])
def test_shards_are_a_branch_of_the_parts(text):
    with pytest.raises(InputError, match="expected I/N"):
        Shard.parse(text)


def test_shards_cover_everything_once():
    assert COUNTS == SHARD_COUNTS
    assert all(PARTS % count == 0 for count in COUNTS)
    for count in COUNTS:
        for items in (0, 1, 3, 16, 37):
            shares = [Shard(index, count).of(items) for index in range(1, count + 1)]
            assert [item for share in shares for item in share] == list(range(items))


def test_the_workflow_knows_which_methods_have_two_stages():
    from lcsc.config.settings import GRADIENT_METHODS

    assert set(GRADIENT_METHODS) == {name for name, search in SEARCHES.items() if search.needs_gradient}


def run_in_shares(common, folder, generation, count, stages):
    where = ["--search", folder, "--generation", generation]
    files = []
    for stage in stages:
        before, files = files, [folder / f"{generation}-{stage}-{index}.npz" for index in range(1, count + 1)]
        for index, file in enumerate(files, 1):
            given = ["--shard", f"{index}/{count}", "--stage", stage, *(["--forward", *before] if before else [])]
            assert lcsc("shard", *common, *where, *given, "--output", file, "--log", folder / "shard.log") == 0
            assert generations_read(folder / "shard.log") == generation
    joined = ["--first", generation, "--count", 1, "--output", folder, "--shards", *files]
    assert lcsc("search", *common, *joined, "--timing", folder / "timing.json", "--log", folder / "join.log") == 0
    assert generations_read(folder / "join.log") == generation
    return files


def generations_read(log):
    """How many generations before its own a job's log says that it read."""
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if "reads the generations before: " in line]
    found = re.findall(r"before: (?:(\d+) files, )?.*generation-\d{4}\.json: sha256 [0-9a-f]{12}, ", "\n".join(lines))
    assert len(found) == len(lines) <= 1
    return int(found[0] or 1) if found else 0


@pytest.mark.parametrize(("chosen", "stages"), [(SEARCH, ["forward"]), (GRADIENT, ["forward", "backward"])])
def test_a_search_by_hand_in_shards_is_the_same(tiny_run, tmp_path, capsys, chosen, stages):
    common = [*measures(tiny_run), *settings(**SCORING, images=130, name="x", search=chosen)]
    assert lcsc("search", *common, "--count", 3, "--output", tmp_path / "whole") == 0
    folder = tmp_path / "shared"
    for generation in range(3):
        files = run_in_shares(common, folder, generation, 2, stages)
        name = f"generation-{generation:04d}.json"
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    timing = json.loads((folder / "timing.json").read_text())
    assert timing["evaluations"] == (6 if stages == ["forward"] else 1)
    capsys.readouterr()
    again = ["--first", 1, "--count", 1, "--output", folder, "--shards", *files]
    assert lcsc("search", *common, *again) == 2
    assert re.search(r"2-\w+-1\.npz: generation 2, expected 1", one_error_line(capsys))


def test_shard_commands_that_do_not_fit_are_refused(tiny_run, tmp_path, capsys):
    common = [*measures(tiny_run), *settings(**SCORING, images=130, name="x", search=SEARCH)]
    where = ["--search", tmp_path, "--generation", 0, "--output", tmp_path / "share"]
    for given, message in [
        (["--shard", "1/1", "--stage", "backward", "--forward", "x"], "expected forward, the only stage"),
        (
            ["--shard", "1/2", "--stage", "backward", "--forward", "x"],
            "found 1 files for the stage backward, expected 2",
        ),
        (["--shard", "5/4", "--stage", "forward"], "found 5/4, expected I/N"),
    ]:
        assert lcsc("shard", *common, *where, *given) == 2
        assert message in one_error_line(capsys)
    assert lcsc("search", *common, "--count", 2, "--output", tmp_path, "--shards", "x") == 2
    assert "--count: found 2 with --shards, expected 1" in one_error_line(capsys)


def test_joining_with_looks_on_stopping_noise_is_the_same(tiny_run, tmp_path):
    chosen = {**GRADIENT, "stopping": {"every": 1, "patience": 1, "images": 60}}
    common = [*measures(tiny_run), *settings(**SCORING, images=130, name="x", search=chosen)]
    assert lcsc("search", *common, "--count", 2, "--output", tmp_path / "whole") == 0
    for generation in range(2):
        run_in_shares(common, tmp_path / "shared", generation, 2, ["forward", "backward"])
        name = f"generation-{generation:04d}.json"
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert json.loads((tmp_path / "whole" / name).read_text())["look"]
