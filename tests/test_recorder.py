"""Recording a training loop into a bank: what is taken, what is refused, and what a kill leaves."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import make_bank
from torch import nn

import lcsc
from lcsc.bank import Bank
from lcsc.bank.appender import BankAppender
from lcsc.bank.combination import combine
from lcsc.bank.lock import collecting
from lcsc.collection import collect
from lcsc.errors import InputError, LcscError
from lcsc.export import export_merged
from lcsc.training.recorder import Recorder


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def train(model: nn.Module, first: int, last: int, recorder: Recorder) -> dict[int, np.ndarray]:
    """Steps ``first`` to ``last``, recorded; the flat weights of each, in the order of a state dict."""
    seen = {}
    for step in range(first, last + 1):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1e-3 * torch.randn(parameter.shape))
        seen[step] = flat(model.state_dict())
        recorder(step, model)
    return seen


def flat(state: dict[str, torch.Tensor]) -> np.ndarray:
    return torch.cat([tensor.detach().reshape(-1) for tensor in state.values()]).numpy().copy()


def stored(bank: Bank) -> dict[int, np.ndarray]:
    order = list(network().state_dict())
    states = (bank.unflatten(bank.checkpoint(k)) for k in range(bank.K))
    return {step: flat({name: state[name] for name in order}) for step, state in zip(bank.steps, states, strict=True)}


@pytest.mark.parametrize("storage", ["float32", "differences"])
def test_every_so_many_steps_are_in_the_bank(tmp_path: Path, storage: str) -> None:
    with lcsc.Recorder(tmp_path, every=5, storage=storage) as recorder:
        seen = train(network(), 1, 102, recorder)
        assert not recorder(102, network())
        assert recorder.save(103, network(1))
        assert not recorder.save(103, network(1))
    bank = Bank.open(tmp_path, verify=True)
    assert bank.steps == [*range(5, 101, 5), 103]
    assert (bank.storage, bank.track, bank.prefix, bank.P) == (storage, "raw", "", 67)
    for step, weights in list(stored(bank).items())[:-1]:
        assert np.max(np.abs(weights - seen[step])) < 1e-5
        assert np.array_equal(weights, seen[step]) or storage == "differences"


def test_steps_that_jump_are_taken_when_they_pass_a_multiple(tmp_path: Path) -> None:
    model = network()
    with Recorder(tmp_path, every=10) as recorder:
        assert [step for step in (0, 3, 6, 9, 12, 15, 18, 21, 50) if recorder(step, model)] == [12, 21, 50]


class Compiled(nn.Module):
    """Names as ``torch.compile`` gives them, whose import takes seconds."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._orig_mod = module


def test_names_are_the_modules_own(tmp_path: Path) -> None:
    bare = network()
    compiled = Compiled(bare)
    wrapped = nn.DataParallel(compiled)
    average = torch.optim.swa_utils.AveragedModel(bare)
    prefixed = {f"module._orig_mod.{name}": tensor for name, tensor in bare.state_dict().items()}
    with Recorder(tmp_path) as recorder:
        for step, model in enumerate((bare, compiled, wrapped, average, prefixed, bare.state_dict()), 1):
            recorder(step, model)
    bank = Bank.open(tmp_path)
    assert bank.K == 6
    assert bank.restore_names(bank.unflatten(bank.checkpoint(5))).keys() == bare.state_dict().keys()
    assert np.array_equal(bank.checkpoint(5), bank.checkpoint(0))


def test_a_copy_is_taken_at_once(tmp_path: Path) -> None:
    model = network()
    before = flat(model.state_dict())
    with Recorder(tmp_path, storage="float32") as recorder:
        recorder(1, model)
        with torch.no_grad():
            model[0].weight.zero_()
    assert np.array_equal(stored(Bank.open(tmp_path))[1], before)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(3, 3)
        self.out = nn.Linear(3, 3)
        self.out.weight = self.model.weight
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("levels", torch.tensor([1.0, 2.0], dtype=torch.float64))


def test_tied_tensors_counters_and_constants(tmp_path: Path) -> None:
    model = Tied()
    for first in (1, 3):  # the second recorder continues the bank
        with Recorder(tmp_path) as recorder:
            for step in (first, first + 1):
                model.count += 1
                recorder(step, model)
    bank = Bank.open(tmp_path)
    roles = {entry.name: (entry.role, entry.aliases) for entry in bank.tensors}
    assert roles["model.weight"] == ("combined", ("out.weight",))
    assert (roles["count"], roles["levels"]) == (("counter", ()), ("constant", ()))
    state = bank.unflatten(bank.checkpoint(0))
    assert (state["count"].item(), state["levels"].dtype) == (4, torch.float64)
    model.load_state_dict(state)


def test_the_merged_file_has_the_modules_own_names(tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module("model", network())
    with Recorder(tmp_path / "bank") as recorder:
        train(model, 1, 4, recorder)
    bank = Bank.open(tmp_path / "bank")
    assert bank.prefix == "model."
    export_merged(bank, np.full((1, 4), 0.25), output=tmp_path / "merged.safetensors")
    from safetensors.torch import load_file

    merged = load_file(tmp_path / "merged.safetensors")
    assert model.load_state_dict(merged).missing_keys == []
    expected = combine(bank, np.full((1, 1, 4), 0.25))[0]
    assert np.array_equal(bank.flatten(merged), expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_left_out_with_a_warning(
    tmp_path: Path, value: float, caplog: pytest.LogCaptureFixture
) -> None:
    model = network()
    with caplog.at_level(logging.WARNING, "lcsc"), Recorder(tmp_path) as recorder:
        train(model, 1, 2, recorder)
        sound = model[2].bias.detach().clone()
        with torch.no_grad():
            model[2].bias[1] = value
        recorder(3, model)
        with torch.no_grad():
            model[2].bias.copy_(sound)
        train(model, 4, 5, recorder)
    assert Bank.open(tmp_path).steps == [1, 2, 4, 5]
    assert "step 3 is not recorded: tensor '2.bias' has NaN or infinite values" in caplog.text


def test_a_training_that_goes_on_continues_its_bank(tmp_path: Path) -> None:
    model = network()
    with Recorder(tmp_path, every=5) as recorder:
        train(model, 1, 22, recorder)
    before = [path.read_bytes() for path in sorted(tmp_path.glob("segment-*"))]
    with Recorder(tmp_path, every=5, resumed_from=22) as recorder:
        train(model, 23, 40, recorder)
    assert [path.read_bytes() for path in sorted(tmp_path.glob("segment-*"))][:4] == before
    bank = Bank.open(tmp_path, verify=True)
    assert bank.steps == [5, 10, 15, 20, 25, 30, 35, 40]
    assert [one.base for one in bank.checkpoints] == [None, 0, 1, 2, None, 4, 5, 6]


def test_a_course_that_was_given_up_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Recorder(tmp_path, every=5) as recorder:
        train(network(), 1, 40, recorder)
    kept = Bank.open(tmp_path, segments=4)
    identity = kept.identity
    with (
        Recorder(tmp_path, every=5) as recorder,
        pytest.raises(InputError, match=r"found step 25, .* resumed_from=STEP"),
    ):
        train(network(), 21, 25, recorder)
    assert Bank.open(tmp_path).steps[-1] == 40
    with Recorder(tmp_path, every=5, resumed_from=20) as recorder:
        assert "dropped 4 checkpoints after step 20" in caplog.text
        assert sorted(path.name for path in tmp_path.glob("segment-*"))[-1] == "segment-0003.h5"
        seen = train(network(7), 21, 30, recorder)
    bank = Bank.open(tmp_path, verify=True)
    assert bank.steps == [5, 10, 15, 20, 25, 30]
    assert np.max(np.abs(stored(bank)[30] - seen[30])) < 1e-5
    assert Bank.open(tmp_path, segments=4).identity == identity


def test_a_training_from_the_start_does_not_wipe_a_bank(tmp_path: Path) -> None:
    with Recorder(tmp_path, every=5) as recorder:
        train(network(), 1, 20, recorder)
    with pytest.raises(InputError, match="found no checkpoint up to step 0 to go on from, but 4 after it"):
        Recorder(tmp_path, resumed_from=0)
    assert Bank.open(tmp_path, verify=True).steps == [5, 10, 15, 20]
    Recorder(tmp_path).close()  # what failed has let go of the bank


def test_another_model_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        recorder(1, network())
    recorder = Recorder(tmp_path)
    recorder(2, nn.Linear(3, 3))
    with pytest.raises(InputError, match=r"step 2: tensor '0\.bias' is missing"):
        recorder.flush()
    recorder.close()
    assert Bank.open(tmp_path, verify=True).steps == [1]


def test_one_track_and_one_recorder_a_bank(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, track="ema_0.99")
    recorder(1, network())
    with pytest.raises(InputError, match="another recorder appends to it"):
        Recorder(tmp_path)
    recorder.close()
    with pytest.raises(InputError, match=r"found a bank of the track 'ema_0\.99', expected 'raw'"):
        Recorder(tmp_path)
    with pytest.raises(InputError, match="the recorder is closed"):
        recorder.save(2, network())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"a": 1}, "'a': found int, expected a tensor"),
        ([], "found list, expected a torch.nn.Module"),
    ],
)
def test_what_is_no_model(tmp_path: Path, model: object, message: str) -> None:
    with Recorder(tmp_path) as recorder, pytest.raises(InputError, match=message):
        recorder(1, model)


@pytest.mark.parametrize(("key", "value"), [("every", 0), ("storage", "float16")])
def test_impossible_options(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{key}: found"):
        Recorder(tmp_path, **{key: value})


def test_a_sharded_tensor_is_refused(tmp_path: Path) -> None:
    class Part(torch.Tensor):
        def full_tensor(self) -> None: ...

    with Recorder(tmp_path) as recorder, pytest.raises(InputError, match="sharded over processes"):
        recorder(1, {"a": torch.ones(2).as_subclass(Part)})


def test_only_the_first_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with Recorder(tmp_path / "bank") as recorder:
        assert not recorder(1, network())
    assert not (tmp_path / "bank").exists()


def test_a_disk_that_cannot_be_written_is_said_and_leaves_the_bank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(tmp_path)
    train(network(), 1, 3, recorder)
    recorder.flush()

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        recorder(4, network())
        with pytest.raises(LcscError, match="No space left on device"):
            recorder(5, network())
    assert "step 4 is not recorded" in caplog.text
    assert Bank.open(tmp_path, verify=True).steps == [1, 2, 3]
    recorder(6, network())
    recorder.close()
    assert Bank.open(tmp_path, verify=True).steps == [1, 2, 3, 6]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        train(network(), 1, 3, recorder)
    for name in (".segment-0003.h5.abc.part", ".index.json.abc.part", "segment-0003.h5"):
        (tmp_path / name).write_bytes(b"half")
    BankAppender(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock", "index.json", "segment-0000.h5", "segment-0001.h5", "segment-0002.h5",
    ]  # fmt: skip


def test_forked_workers_do_not_keep_the_bank(tmp_path: Path) -> None:
    appender = BankAppender(tmp_path)
    assert appender._lock is not None
    theirs = os.dup(appender._lock)  # as a data loader's worker has it
    appender.close()
    BankAppender(tmp_path).close()
    os.close(theirs)


def test_segments_without_their_index_are_left_alone(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        train(network(), 1, 3, recorder)
    (tmp_path / "index.json").rename(tmp_path / "moved.json")
    with pytest.raises(InputError, match=r"found 3 segments without their index\.json"):
        Recorder(tmp_path)
    assert len(list(tmp_path.glob("segment-*"))) == 3


def test_a_bank_whose_index_was_lost_is_left_alone(tmp_path: Path) -> None:
    make_bank(tmp_path, 3)
    (tmp_path / "bank" / "index.json").unlink()
    before = (tmp_path / "bank" / "segment-0000.h5").read_bytes()
    with pytest.raises(
        InputError, match=r"found 1 segments? of 3 checkpoints without (its|their) index\.json"
    ) as error:
        Recorder(tmp_path / "bank")
    assert "\n" not in str(error.value)
    assert (tmp_path / "bank" / "segment-0000.h5").read_bytes() == before


def test_what_a_kill_within_the_first_save_leaves_gives_way(tmp_path: Path) -> None:
    for content in (None, b"half"):
        folder = tmp_path / str(content)
        with Recorder(folder) as recorder:
            train(network(), 1, 1, recorder)
        (folder / "index.json").unlink()
        if content:
            (folder / "segment-0000.h5").write_bytes(content)
        with Recorder(folder) as recorder:
            train(network(), 1, 2, recorder)
        assert Bank.open(folder, verify=True).steps == [1, 2]


def test_a_bank_that_grows_is_not_collected_into(tmp_path: Path) -> None:
    make_bank(tmp_path / "files", 3)
    with Recorder(tmp_path / "bank") as recorder:
        train(network(), 1, 2, recorder)
        recorder.flush()
        with pytest.raises(InputError, match=r"bank: another recorder appends to it.*; collect into another folder"):
            collect(tmp_path / "files" / "run", tmp_path / "bank")
        train(network(), 3, 4, recorder)
    assert Bank.open(tmp_path / "bank", verify=True).steps == [1, 2, 3, 4]
    assert collect(tmp_path / "files" / "run", tmp_path / "bank").K == 3


def test_no_recorder_begins_while_a_bank_is_collected(tmp_path: Path) -> None:
    with collecting(tmp_path), pytest.raises(InputError, match="or a bank is collected there"):
        Recorder(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with caplog.at_level(logging.WARNING, "lcsc"):
        BankAppender(tmp_path).close()
    assert "the file system has no locks (No locks available); see that nothing else writes to it" in caplog.text


def test_a_pinned_bank_gives_the_same_bytes_while_it_grows(tmp_path: Path) -> None:
    with Recorder(tmp_path, every=2) as recorder:
        model = network()
        train(model, 1, 40, recorder)
        recorder.flush()
        pinned = Bank.open(tmp_path)
        alpha = np.random.default_rng(0).standard_normal((3, 1, pinned.K))
        expected = combine(pinned, alpha).tobytes()
        for first in range(41, 61, 4):
            train(model, first, first + 3, recorder)
            assert combine(pinned, alpha).tobytes() == expected
            again = Bank.open(tmp_path, segments=20)
            assert (again.identity, combine(again, alpha).tobytes()) == (pinned.identity, expected)
    assert Bank.open(tmp_path).K == 30


# Dies at each moment in turn, at which a file is flushed or renamed: four of them a save.
DYING = """
import os, signal, sys, torch
from pathlib import Path
from lcsc.training.recorder import Recorder

def dying(method, at, count):
    def call(*arguments):
        count.append(1)
        if len(count) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments)
    return call

model = torch.nn.Linear(2, 2)
for moment in range(1, 14):
    child = os.fork()
    if child == 0:
        count = []
        os.fsync, Path.replace = dying(os.fsync, moment, count), dying(Path.replace, moment, count)
        with Recorder(Path(sys.argv[1]) / str(moment)) as recorder:
            for step in (1, 2, 3):
                torch.nn.init.constant_(model.weight, step)
                recorder(step, model)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_a_kill_within_a_save_loses_that_save_alone(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=True)
    for moment in range(1, 14):
        saved, folder = (moment - 1) // 4, tmp_path / str(moment)
        found = Bank.open(folder, verify=True).steps if saved else []
        assert found == list(range(1, saved + 1))
        with Recorder(folder, resumed_from=saved or None) as recorder:
            for step in range(saved + 1, 6):
                recorder(step, nn.Linear(2, 2))
        assert Bank.open(folder, verify=True).steps == [1, 2, 3, 4, 5]
        assert not list(folder.glob(".*.part"))


LOOP = """
import sys, torch
from lcsc.training.recorder import Recorder
model = torch.nn.Linear(200, 200)
recorder = Recorder(sys.argv[1], resumed_from=int(sys.argv[2]) or None)
for step in range(int(sys.argv[2]) + 1, 100_000):
    torch.nn.init.constant_(model.weight, step)
    recorder(step, model)
    print(step, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_bank_that_can_be_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    steps: list[int] = []
    for _ in range(2):
        command = [sys.executable, "-c", LOOP, str(tmp_path), str(steps[-1] if steps else 0)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(4):
                process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        bank = Bank.open(tmp_path, verify=True)
        assert bank.steps[: len(steps)] == steps
        assert bank.steps == list(range(1, bank.K + 1))
        assert len(steps) + 3 <= bank.K
        weights = np.stack([bank.unflatten(row)["weight"] for row in bank.resident().weights])
        assert np.array_equal(weights, np.broadcast_to(np.reshape(bank.steps, (-1, 1, 1)), weights.shape))
        steps = bank.steps
