"""Readers, writers, discovery and validation of checkpoints."""

from __future__ import annotations

import argparse
import hashlib
import logging
import pickle
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from runs import save, save_run, weights

from lcsc.checkpoints import Checkpoint, Format, RunFolder, find_checkpoints, find_run, format_named, format_of
from lcsc.checkpoints.base import split_tied
from lcsc.checkpoints.names import natural_key, strip_prefix
from lcsc.checkpoints.registry import FORMATS
from lcsc.checkpoints.validate import RunCheck
from lcsc.errors import InputError, LcscError

SAFE, TORCH = format_named("safetensors"), format_named("torch")
ALL_TYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)


def one_line(error: pytest.ExceptionInfo[LcscError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def check_run(states: list[dict[str, torch.Tensor]], folder: Path) -> RunCheck:
    check = RunCheck()
    for path in save_run(folder, states):
        check.add(path, SAFE.read(path))
    return check


class TestFormats:
    @pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
    def test_tensors_come_back_as_they_were(self, tmp_path: Path, suffix: str) -> None:
        tensors = {str(dtype): torch.tensor([[1, 0], [1, 1]]).to(dtype) for dtype in ALL_TYPES}
        tensors |= {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 3), "turned": torch.randn(3, 4).T}
        path = save(tmp_path / f"x-1{suffix}", tensors)
        found = format_of(path).read(path).tensors
        assert found.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert found[name].dtype == tensor.dtype
            assert torch.equal(found[name], tensor)

    def test_the_safetensors_package_reads_what_is_written_here(self, tmp_path: Path) -> None:
        tensors = {"b": torch.randn(3), "a": torch.ones(2, dtype=torch.bfloat16), "é/ü": torch.tensor(True)}
        path = save(tmp_path / "x.safetensors", tensors, step="7")
        found = safetensors.torch.load_file(path)
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)

    @pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
    def test_two_writes_give_the_same_bytes(self, tmp_path: Path, kind: object) -> None:
        metadata = {f"key {number}": "text" for number in range(12)}
        hashes = set()
        for name in ("one", "another-name"):
            path = tmp_path / f"{name}{kind.suffixes[0]}"
            kind.write(path, weights(0), metadata)
            hashes.add(hashlib.sha256(path.read_bytes()).hexdigest())
        assert len(hashes) == 1

    @pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
    def test_tied_tensors_stand_once_and_come_back_tied(self, tmp_path: Path, suffix: str) -> None:
        shared = torch.randn(4, 4)
        path = save(tmp_path / f"x-1{suffix}", {"in.weight": shared, "out.weight": shared, "other": torch.ones(2)})
        checkpoint = format_of(path).read(path)
        assert checkpoint.tensors.keys() == {"in.weight", "other"}
        assert checkpoint.aliases == {"out.weight": "in.weight"}

    def test_views_of_one_memory_are_no_ties(self, tmp_path: Path) -> None:
        memory = torch.randn(6)
        torch.save({"a": memory[:3], "b": memory[3:], "c": memory.view(2, 3)}, tmp_path / "x-1.pt")
        checkpoint = TORCH.read(tmp_path / "x-1.pt")
        assert set(checkpoint.tensors) == {"a", "b", "c"}
        assert checkpoint.aliases == {}

    def test_memory_that_two_types_share_is_no_tie(self) -> None:
        memory = torch.ones(3)
        assert split_tied({"a": memory, "b": memory.view(torch.int32), "c": memory})[1] == {"c": "a"}

    def test_models_saved_with_shared_tensors_by_the_safetensors_package(self, tmp_path: Path) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
        model[1].weight = model[0].weight
        safetensors.torch.save_model(model, str(tmp_path / "x-1.safetensors"))
        checkpoint = SAFE.read(tmp_path / "x-1.safetensors")
        assert len(checkpoint.aliases) == 1
        assert {*checkpoint.tensors, *checkpoint.aliases} == set(model.state_dict())

    def test_a_state_dict_under_a_key(self, tmp_path: Path) -> None:
        path = tmp_path / "x-1.ckpt"
        adam = {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}
        torch.save({"epoch": 3, "nets": {"main": weights(0)}, "ema": weights(1), "optimizer": adam, "log": {}}, path)
        assert TORCH.read(path, "nets.main").tensors.keys() == weights(0).keys()
        with pytest.raises(
            InputError, match=r"'epoch': found int, expected a tensor; .* one of nets.main, ema$"
        ) as error:
            TORCH.read(path)
        one_line(error)
        with pytest.raises(InputError, match="found the keys epoch, nets, ema, optimizer, log, expected a key 'model'"):
            TORCH.read(path, "model")
        with pytest.raises(InputError, match="nests nothing"):
            SAFE.read(save(tmp_path / "x.safetensors", weights(0)), "model")

    def test_arguments_beside_the_weights_are_read_and_other_objects_are_not(self, tmp_path: Path) -> None:
        path = tmp_path / "x-1.pt"
        torch.save({"model": weights(0), "args": argparse.Namespace(rate=0.1, inner=argparse.Namespace(n=2))}, path)
        assert TORCH.read(path, "model").tensors.keys() == weights(0).keys()
        torch.save({"model": weights(0), "args": argparse.Namespace(path=Path("a"))}, path)
        with pytest.raises(InputError, match=r"'pathlib.\w+'\), which would be executed") as error:
            TORCH.read(path, "model")
        one_line(error)

    def test_parameters_and_old_files_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "x-1.pt"
        torch.save({"a": torch.nn.Parameter(torch.ones(3))}, path, _use_new_zipfile_serialization=False)
        assert not TORCH.read(path).tensors["a"].requires_grad

    def test_formats_are_told_by_content(self, tmp_path: Path) -> None:
        save(tmp_path / "x.safetensors", weights(0)).rename(tmp_path / "x.pt")
        assert format_of(tmp_path / "x.pt").name == "safetensors"
        (tmp_path / "x.txt").write_text("hello")
        with pytest.raises(InputError, match="no known checkpoint format, expected safetensors or torch"):
            format_of(tmp_path / "x.txt")
        with pytest.raises(InputError, match="found 'zip'"):
            format_named("zip")

    @pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95])
    def test_truncated_files_are_refused(self, tmp_path: Path, suffix: str, share: float) -> None:
        path = save(tmp_path / f"x-1{suffix}", {"a": torch.randn(1000)})
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=r"x-1.* cannot be read as .*truncated") as error:
            format_of(path).read(path)
        one_line(error)

    @pytest.mark.parametrize("protocol", [None, 2, 3, 4, 5])
    def test_a_pickle_with_code_is_refused_and_not_run(self, tmp_path: Path, protocol: int | None) -> None:
        class Hostile:
            def __reduce__(self) -> tuple[object, ...]:
                return Path.touch, (tmp_path / "trace",)

        path = tmp_path / "x-1.pt"
        if protocol is None:
            torch.save({"a": torch.ones(2), "b": Hostile()}, path)
        else:
            path.write_bytes(pickle.dumps({"b": Hostile()}, protocol=protocol))
        with pytest.raises(
            InputError, match=r"\('.*(getattr|touch)'\), which would be executed when read: refused"
        ) as error:
            TORCH.read(path)
        assert str(path) in one_line(error)
        assert not (tmp_path / "trace").exists()

    def test_whole_models_and_programs_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x-1.pt"
        torch.save(torch.nn.Linear(2, 2), path)
        with pytest.raises(InputError, match=r"Linear.*save the state dict alone \(torch.save\(model\.") as error:
            TORCH.read(path)
        one_line(error)
        path.write_bytes(pickle.dumps({"a": [1, 2]}, protocol=4))
        with pytest.raises(InputError, match="cannot be read as plain tensors"):
            TORCH.read(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
        with pytest.raises(InputError, match="found a TorchScript program, which would be executed") as error:
            TORCH.read(path)
        one_line(error)

    @pytest.mark.parametrize("name", ["none.safetensors", "file/x.safetensors", "none.pt", "file/x.pt"])
    def test_missing_files_are_not_called_truncated(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("")
        for read in (SAFE.read, SAFE.metadata_of, TORCH.read, format_of):
            with pytest.raises(InputError, match=r"not found; expected a (safetensors|checkpoint) file") as error:
                read(tmp_path / name)
            assert str(tmp_path / name) in one_line(error)
            if name.endswith(".pt"):
                break

    @pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
    def test_a_folder_is_no_checkpoint(self, tmp_path: Path, kind: Format) -> None:
        with pytest.raises(InputError, match="found a folder, expected a"):
            kind.read(tmp_path)

    @pytest.mark.parametrize("content", [[1, 2], {}, {"a": "text"}, torch.ones(3)])
    def test_files_without_a_state_dict_are_refused(self, tmp_path: Path, content: object) -> None:
        torch.save(content, tmp_path / "x-1.pt")
        with pytest.raises(InputError, match=r"found .*, expected a (tensor|state dict)"):
            TORCH.read(tmp_path / "x-1.pt")

    def test_a_type_that_the_format_cannot_hold(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"tensor 'a': found dtype torch\.complex64"):
            save(tmp_path / "x.safetensors", {"a": torch.ones(2, dtype=torch.complex64)})
        assert list(tmp_path.iterdir()) == []

    def test_archives_that_unpack_to_far_more_than_they_weigh_are_refused(self, tmp_path: Path) -> None:
        plain, packed = tmp_path / "x-1.pt", tmp_path / "x-2.pt"
        torch.save({"a": torch.zeros(3_000_000)}, plain)
        with zipfile.ZipFile(plain) as one, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as other:
            for member in one.infolist():
                other.writestr(member.filename, one.read(member))
        with pytest.raises(
            InputError, match=r"x-2.pt: its contents unpack to 12,\d+,\d+ bytes, found a file of"
        ) as error:
            TORCH.read(packed)
        one_line(error)

    def test_tensors_that_repeat_a_few_numbers_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x-1.pt"
        torch.save({"a": torch.ones(1).expand(1 << 40)}, path)
        with pytest.raises(InputError, match=r"its contents describe 4,398,046,511,104 bytes, .*: refused") as error:
            TORCH.read(path)
        one_line(error)
        torch.save({"a": torch.ones(3).expand(100, 3)}, path)
        assert TORCH.read(path).tensors["a"].shape == (100, 3)

    def test_a_header_without_end_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.safetensors"
        path.write_bytes((1 << 29).to_bytes(8, "little") + b'{"a"' + bytes(100))
        with pytest.raises(InputError, match=r"x.safetensors: cannot be read as a safetensors file") as error:
            SAFE.read(path)
        one_line(error)

    @pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
    def test_a_full_disk_leaves_the_old_file(self, tmp_path: Path, suffix: str) -> None:
        path = save(tmp_path / f"x-1{suffix}", weights(0))
        before = path.read_bytes()
        program = (
            "import resource, sys, pathlib, torch\n"
            "from lcsc.checkpoints import format_of\nfrom lcsc.errors import LcscError\n"
            "path = pathlib.Path(sys.argv[1])\nkind = format_of(path)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "try:\n    kind.write(path, {'a': torch.zeros(100_000)}, {})\n"
            "except LcscError as error:\n    print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"{path}: cannot be written (File too large)")
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


class TestDiscovery:
    def test_files_come_in_the_order_of_their_steps(self, tmp_path: Path) -> None:
        for name in ("step-9.pt", "step-100.pt", "epoch=1-step=20.ckpt"):
            TORCH.write(tmp_path / name, weights(0), {})
        save(tmp_path / "last.safetensors", weights(0), step="300")
        (tmp_path / "notes-5.txt").write_text("no checkpoint")
        (tmp_path / ".step-7.pt").write_text("hidden")
        assert [file.step for file in find_checkpoints(tmp_path)] == [9, 20, 100, 300]
        assert [file.step for file in find_checkpoints(tmp_path, "step-*.pt")] == [9, 100]

    def test_no_folder_none_and_one(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="found nothing, expected a folder"):
            find_checkpoints(tmp_path / "absent")
        with pytest.raises(InputError, match="found no checkpoints matching '\\*', expected at least two"):
            find_checkpoints(tmp_path)
        save(tmp_path / "step-1.pt", weights(0))
        with pytest.raises(InputError, match=r"found one checkpoint \(step-1.pt\)") as error:
            find_checkpoints(tmp_path)
        one_line(error)

    def test_two_files_with_one_step(self, tmp_path: Path) -> None:
        save_run(tmp_path, [weights(0), weights(1)])
        save(tmp_path / "copy-20.pt", weights(0))
        with pytest.raises(InputError, match=r"found step 20, which .*20.* has too") as error:
            find_checkpoints(tmp_path)
        one_line(error)

    def test_of_two_tracks_the_raw_one_is_taken(self, tmp_path: Path) -> None:
        save_run(tmp_path, [weights(0), weights(1)])
        for step in (10, 20):
            save(tmp_path / f"ema-{step}.safetensors", weights(0), step=str(step), track="ema_0.97")
        found = find_run(RunFolder(tmp_path))
        assert ([file.step for file in found.files], found.track, found.others) == ([10, 20], "raw", {"ema_0.97": 2})
        named = find_run(RunFolder(tmp_path), track="ema_0.97")
        assert {file.path.name for file in named.files} == {"ema-10.safetensors", "ema-20.safetensors"}
        with pytest.raises(InputError, match=r"track 'ema': not found; .* there: ema_0.97 \(2\), raw \(2\)") as error:
            find_run(RunFolder(tmp_path), track="ema")
        one_line(error)

    def test_two_tracks_without_raw_weights(self, tmp_path: Path) -> None:
        for rate in ("0.9", "0.97"):
            save(tmp_path / f"{rate}-1.safetensors", weights(0), step="1", track=f"ema_{rate}")
        with pytest.raises(InputError, match=r"found the tracks ema_0.9 \(1\), ema_0.97 \(1\), expected one") as error:
            find_checkpoints(tmp_path)
        one_line(error)

    def test_a_step_that_is_missing_or_no_number(self, tmp_path: Path) -> None:
        save_run(tmp_path, [weights(0)])
        save(tmp_path / "last.pt", weights(0))
        with pytest.raises(InputError, match=r"last.pt: found no training step"):
            find_checkpoints(tmp_path)
        save(tmp_path / "last.safetensors", weights(0), step="many")
        with pytest.raises(InputError, match=r"last.safetensors: metadata 'step': found 'many'"):
            find_checkpoints(tmp_path, "*.safetensors")


class TestNames:
    def test_prefixes_that_all_names_have_are_stripped(self) -> None:
        assert strip_prefix(["module.a", "module.b.c"]) == ("module.", ["a", "b.c"])
        assert strip_prefix(["module._orig_mod.a"]) == ("module._orig_mod.", ["a"])
        assert strip_prefix(["model.a", "b"]) == ("", ["model.a", "b"])
        assert strip_prefix(["model."]) == ("", ["model."])
        assert strip_prefix([]) == ("", [])

    @given(st.lists(st.text("ab.module", min_size=1), min_size=1, max_size=4))
    def test_prefix_and_stripped_name_make_the_name(self, names: list[str]) -> None:
        prefix, stripped = strip_prefix(names)
        assert [prefix + name for name in stripped] == names
        assert all(stripped)

    def test_numbers_in_names_count(self) -> None:
        names = ["layers.10.w", "layers.2.w", "a1b", "a"]
        assert sorted(names, key=natural_key) == ["a", "a1b", "layers.2.w", "layers.10.w"]


class TestValidation:
    def test_a_missing_an_extra_and_a_renamed_tensor(self, tmp_path: Path) -> None:
        lacking = weights(1)
        del lacking["scale"]
        with pytest.raises(InputError, match=r"000020.*: tensor 'scale' is missing, expected 5 .*000010") as error:
            check_run([weights(0), lacking], tmp_path / "1")
        one_line(error)
        with pytest.raises(InputError, match=r"000020.*: found an extra tensor 'more', expected 5"):
            check_run([weights(0), {**weights(1), "more": torch.ones(1)}], tmp_path / "2")

    def test_another_shape_dtype_and_tie(self, tmp_path: Path) -> None:
        shaped = {**weights(1), "body.0.bias": torch.ones(4)}
        with pytest.raises(InputError, match=r"'body.0.bias': found shape \(4,\), expected \(5,\) as in") as error:
            check_run([weights(0), shaped], tmp_path / "1")
        one_line(error)
        typed = {**weights(1), "scale": torch.tensor(1.0, dtype=torch.float16)}
        with pytest.raises(InputError, match="'scale': found dtype float16, expected float32"):
            check_run([weights(0), typed], tmp_path / "2")
        tied = torch.ones(3)
        with pytest.raises(InputError, match="tensor 'b' is missing"):
            check_run([{"a": torch.ones(3), "b": torch.zeros(3)}, {"a": tied, "b": tied}], tmp_path / "3")
        first, second = ({"a": torch.ones(3), "b": torch.zeros(3)} for _ in range(2))
        with pytest.raises(InputError, match=r"'a': found aliases \(\), expected \('c',\)"):
            check_run([{**first, "c": first["a"]}, {**second, "c": second["b"]}], tmp_path / "4")

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
    def test_values_that_are_not_finite(self, tmp_path: Path, value: float, dtype: torch.dtype) -> None:
        bad = torch.ones(7, dtype=dtype)
        bad[3] = value
        with pytest.raises(InputError, match=r"'a': found 1 of 7 values NaN or infinite") as error:
            check_run([{"a": bad, "w": torch.ones(1)}], tmp_path)
        assert "step-000010" in one_line(error)

    def test_counters_and_constants(self, tmp_path: Path) -> None:
        states = [
            {
                **weights(k),
                "norm.num_batches_tracked": torch.tensor([k, 2 * k]),
                "step": torch.tensor(k),
                "table": torch.arange(4),
                "double": torch.tensor([0.1], dtype=torch.float64),
            }
            for k in range(3)
        ]
        check = check_run(states, tmp_path)
        assert {name: check.role(name) for name in check.others()} == {
            "norm.num_batches_tracked": "counter",
            "step": "counter",
            "table": "constant",
            "double": "constant",
        }
        assert check.role("scale") == "combined"
        assert check.others()["norm.num_batches_tracked"].tolist() == [2, 4]
        assert check.others()["step"] == 2

    def test_buffers_that_differ(self, tmp_path: Path) -> None:
        def run(name: str, *values: torch.Tensor) -> list[dict[str, torch.Tensor]]:
            return [{**weights(0), name: value} for value in values]

        tables = run("table", torch.tensor([1, 2]), torch.tensor([1, 3]))
        with pytest.raises(InputError, match=r"'table': found values that differ .* whole-number buffers") as error:
            check_run(tables, tmp_path / "1")
        one_line(error)
        with pytest.raises(InputError, match=r"'count': .* a counter that never falls"):
            check_run(run("count", torch.tensor(2), torch.tensor(3), torch.tensor(1)), tmp_path / "2")
        doubles = run("d", torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
        with pytest.raises(InputError, match=r"'d': .* expected float64 tensors to be constant"):
            check_run(doubles, tmp_path / "3")

    @pytest.mark.parametrize("name", ["norm.running_mean", "norm.running_var"])
    def test_running_statistics(self, tmp_path: Path, name: str) -> None:
        same = [{**weights(k), name: torch.ones(3)} for k in range(2)]
        assert check_run(same, tmp_path / "same").role(name) == "combined"
        differing = [{**weights(k), name: torch.full((3,), 1.0 + k)} for k in range(2)]
        with pytest.raises(InputError, match="extrapolated running variances are meaningless") as error:
            check_run(differing, tmp_path / "differing")
        one_line(error)

    def test_foreign_types_and_no_weights(self, tmp_path: Path) -> None:
        path = tmp_path / "x-1.pt"
        torch.save({"a": torch.ones(2, dtype=torch.complex64)}, path)
        with pytest.raises(InputError, match="'a': found complex64, expected dense float32"):
            RunCheck().add(path, TORCH.read(path))
        with pytest.raises(InputError, match="'a': found sparse_coo float32, expected dense"):
            RunCheck().add(path, Checkpoint({"a": torch.eye(2).to_sparse()}))
        with pytest.raises(InputError, match="no floating-point tensors"):
            check_run([{"a": torch.ones(2, dtype=torch.int64)}], tmp_path)

    def test_weights_in_float64_are_refused(self, tmp_path: Path) -> None:
        double = [{name: tensor.double() for name, tensor in weights(k).items()} for k in range(2)]
        expected = "tensor 'body.0.bias': found float64, expected float32, float16 or bfloat16; save float32 weights"
        with pytest.raises(InputError) as error:
            check_run(double, tmp_path)
        assert one_line(error) == f"{tmp_path / 'step-000010.safetensors'}: {expected}"

    @pytest.mark.parametrize(("dtype", "moved"), [("float16", "9 %"), ("bfloat16", "50 %")])
    def test_half_precision_is_warned_of_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: str, moved: str
    ) -> None:
        logger = logging.getLogger("lcsc")
        logger.addHandler(caplog.handler)
        try:
            check_run([{"a": torch.ones(2, dtype=getattr(torch, dtype))} for _ in range(3)], tmp_path)
        finally:
            logger.removeHandler(caplog.handler)
        messages = {record.getMessage() for record in caplog.records if f"are {dtype}:" in record.getMessage()}
        assert len(messages) == 1
        assert f"features moved by {moved}" in messages.pop()

    def test_files_with_and_without_a_prefix_make_one_run(self, tmp_path: Path) -> None:
        check = check_run([weights(0), {f"module.{k}": v for k, v in weights(1).items()}], tmp_path)
        assert check.prefix == "module."
        assert [spec.name for spec in check.specs][:3] == ["body.0.bias", "body.0.weight", "body.2.weight"]
