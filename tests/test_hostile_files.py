"""Files made to do harm: none runs code, reads another file or takes memory for what it only claims to hold."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
import torch
from runs import make_bank

from lcsc.bank import Bank
from lcsc.checkpoints.inert_files import read_inert
from lcsc.collection import collect
from lcsc.data.sources import open_source
from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.hdf5_files import own_dataset
from lcsc.metrics.reference_file import read_reference

HUGE = 10**12
MOST_MEMORY = 512 << 20


class Touch:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """What a test's files claim is never taken."""
    process = psutil.Process()
    before = process.memory_info().rss
    yield
    assert process.memory_info().rss - before < MOST_MEMORY


def refused(read: Callable[[], Any], part: str) -> None:
    with pytest.raises(InputError) as caught:
        read()
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


NAMES = {
    **{f"plain{suffix}": f"step-{{}}{suffix}" for suffix in (".pt", ".pth", ".ckpt", ".bin")},
    **{"openai": "model{:06d}.pt", "ddim": "ckpt_{}.pth", "edm": "training-state-{:06d}.pt"},
    **{"edm-pkl": "network-snapshot-{:06d}.pkl", "pkl": "step-{}.pkl", "misnamed": "step-{}.safetensors"},
    "diffusers": "checkpoint-{}/unet/diffusion_pytorch_model.bin",
}


def put(path: Path, content: Any, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "config.json").write_text("{}")
    if kind == "bare":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.parametrize("kind", ["zip", "legacy", "bare"])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_checkpoint_runs_code(tmp_path: Path, name: str, kind: str) -> None:
    mark, weights = tmp_path / "mark", torch.ones(3)
    contents: list[Any] = [Touch(mark), {"w": weights, "x": Touch(mark)}, {"state_dict": {"w": Touch(mark)}}]
    contents.append([{"w": weights}, {}, 1, 2, Touch(mark)])
    for place, content in enumerate(contents):
        folder = tmp_path / f"run {place}"
        for step in (10, 20):
            put(folder / name.format(step), content, kind)
        refused(lambda folder=folder: collect(folder, tmp_path / "bank"), str(folder))  # type: ignore[misc]
    assert not mark.exists()


PROGRAMS = {
    "system": b"cos\nsystem\n(Vtouch {mark}\ntR.",
    "eval": b"cbuiltins\neval\n(V__import__('os').system('touch {mark}')\ntR.",
    "hub": b"\x80\x04\x8c\x05torch\x8c\x08hub.load\x93(V{mark}\ntR.",
    "build": b"cposix\nsystem\n)\x81}Vx\nVtouch {mark}\nsb.",
    "instance": b"(Vtouch {mark}\niposix\nsystem\n.",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_stand_ins_run_nothing(tmp_path: Path, program: bytes) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "network-snapshot-000001.pkl"
    path.write_bytes(program.replace(b"{mark}", str(mark).encode()))
    read_inert(path)
    assert not mark.exists()


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def archive(path: Path, arrays: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as file:
        for name, content in arrays.items():
            file.writestr(f"{name}.npy", content)
    return path


def images(path: Path, source: str = "npz", **keys: Any) -> Callable[[], Any]:
    return lambda: open_source({"source": source, "path": str(path), **keys}).read(np.arange(2))


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(HUGE, 8, 8), (-4, 8, 8), (1 << 32, 1 << 32, 8)])
def test_arrays_that_are_not_there_are_refused(tmp_path: Path, shape: tuple[int, ...], how: int) -> None:
    path = archive(tmp_path / "images.npz", {"images": header(shape) + bytes(64)}, how)
    refused(images(path), "is shorter than its shape")


def test_an_array_that_unpacks_to_far_more_than_its_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("images.npy", "w") as stream:
        stream.write(header((4 << 20, 8, 9)))
        for _ in range(9):
            stream.write(bytes(32 << 20))
    refused(images(path), "expected at most 100 times as many, or 256 MiB")


def test_objects_in_arrays_are_refused(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    objects = np.array([Touch(mark)], object)
    np.savez(tmp_path / "images.npz", images=objects)
    np.save(tmp_path / "images.npy", objects)
    np.savez(tmp_path / "statistics.npz", mu=objects, sigma=objects)
    refused(images(tmp_path / "images.npz"), "Python objects")
    refused(images(tmp_path / "images.npy"), "Python objects")
    refused(lambda: read_reference(tmp_path / "statistics.npz"), "Python objects")
    assert not mark.exists()


def test_statistics_that_are_not_there_are_refused(tmp_path: Path) -> None:
    arrays = {"mu": header((1 << 20,), "<f8"), "sigma": header((1 << 20, 1 << 20), "<f8")}
    refused(lambda: read_reference(archive(tmp_path / "s.npz", arrays)), "is shorter than its shape")


def empty_images(file: h5py.File) -> None:
    file.create_dataset("images", (HUGE, 8, 8), "u1", chunks=(64, 8, 8))


def large_images(file: h5py.File) -> None:
    file.create_dataset("images", (4, 3, 40000, 40000), "u1", chunks=(1, 1, 64, 64))


def many_labels(file: h5py.File) -> None:
    file["images"] = np.zeros((4, 8, 8), np.uint8)
    file.create_dataset("labels", (HUGE,), "i8", chunks=(64,))


def large_chunks(file: h5py.File) -> None:
    file.create_dataset("images", (8, 8192, 8192), "u1", chunks=(8, 8192, 8192), compression="gzip")


def external(file: h5py.File) -> None:
    file.create_dataset("images", (4, 8, 8), "u1", external=[(f"{Path(file.filename).parent}/secret", 0, 256)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 8, 8), "u1")
    layout[:] = h5py.VirtualSource(f"{Path(file.filename).parent}/other.h5", "images", (4, 8, 8))
    file.create_virtual_dataset("images", layout)


def external_link(file: h5py.File) -> None:
    file["images"] = h5py.ExternalLink(f"{Path(file.filename).parent}/other.h5", "images")


def soft_link(file: h5py.File) -> None:
    file["own"] = np.ones((4, 8, 8), np.uint8)
    file["images"] = h5py.SoftLink("/own")


@pytest.mark.parametrize(
    ("write", "part"),
    [
        (empty_images, "unpacks to 64,000,000,000,000 bytes from 0"),
        (large_images, "unpacks to"),
        (many_labels, "unpacks to"),
        (large_chunks, "expected at most 256 MiB"),
        (external, "stored in other files"),
        (virtual, "is virtual"),
        (external_link, "found []"),
    ],
)
def test_hdf5_gives_what_stands_in_the_file_and_no_more(tmp_path: Path, write: Callable[..., None], part: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(256))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.ones((4, 8, 8), np.uint8)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        write(file)
    refused(images(tmp_path / "images.h5", "hdf5"), part)


@pytest.mark.parametrize("write", [external_link, soft_link])
def test_an_array_that_is_named_must_stand_in_the_file(tmp_path: Path, write: Callable[..., None]) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.ones((4, 8, 8), np.uint8)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        write(file)
        assert file["images"][:].any()  # HDF5 itself follows it
        with pytest.raises(InputError, match="is a link, expected the array itself"):
            own_dataset(file, "images")


def test_a_reference_gives_what_stands_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(256))
    about = dict.fromkeys(("data", "part", "extractor", "extractor_sha256", "resize"), "x")
    kinds: list[tuple[dict[str, Any], str]] = [
        ({"external": [(str(tmp_path / "secret"), 0, 32)]}, "stored in other files"),
        ({"chunks": (4,), "shape": (HUGE,)}, "unpacks to"),
    ]
    for keys, part in kinds:
        with h5py.File(tmp_path / "r.h5", "w") as file:
            file.attrs.update({"format": "lcsc-reference", "format_version": 1, "count": 9, **about})
            file.create_dataset("mean", **{"shape": (4,), "dtype": "f8", **keys})
            file["covariance"], file["factor"] = np.eye(4), np.eye(4)
        refused(lambda: read_reference(tmp_path / "r.h5"), part)


def test_a_bank_gives_what_stands_in_its_segments(tmp_path: Path) -> None:
    """Size and name are those of the index; the weights would come from elsewhere."""
    bank = make_bank(tmp_path)
    segment = bank.path / bank.segment_file(0)
    size = segment.stat().st_size
    (tmp_path / "secret").write_bytes(bytes(4 * bank.K * bank.P))
    with h5py.File(segment, "r+") as file:
        shape = file["weights"].shape
        del file["weights"]
        file.create_dataset("weights", shape, "f4", external=[(str(tmp_path / "secret"), 0, 4 * bank.K * bank.P)])
    segment.write_bytes(segment.read_bytes()[:size].ljust(size, b"\0"))
    refused(lambda: Bank.open(bank.path).checkpoint(0), str(segment))


def test_names_in_an_index_lead_nowhere_else(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    record = read_json(bank.path / "index.json", kind="bank")
    for name in ("../run/step-000010.safetensors", "/etc/passwd", "..", "a/b"):
        record["segments"][0]["file"] = name
        (bank.path / "index.json").write_text(json.dumps(record))
        refused(lambda: Bank.open(bank.path), "index.json")


def test_an_index_of_shards_leads_nowhere_else(tmp_path: Path) -> None:
    for step in (10, 20):
        part = tmp_path / "run" / f"checkpoint-{step}" / "unet"
        part.mkdir(parents=True)
        (part / "config.json").write_text("{}")
        index = {"metadata": {}, "weight_map": {"w": "../../../../etc/passwd"}}
        (part / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    refused(lambda: collect(tmp_path / "run", tmp_path / "bank"), "expected a file beside the index")


def safetensors_file(path: Path, head: Any, data: bytes = b"", length: int | None = None) -> None:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(shape: list[int], begin: int = 0, end: int = 16) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ({"w": entry([4])}, (1 << 63) - 1),  # a header of 8 EiB
        ({"w": entry([4])}, 99_000_000),
        ({"a": entry([4]), "b": entry([4])}, None),  # both at one place
        ({"w": entry([1 << 38], 0, 1 << 40)}, None),
        ({"w": entry([4], 16, 0)}, None),
        ({"w": entry([4], 16, 32)}, None),
        ({"w": entry([1 << 40])}, None),
        ({"w": entry([1 << 62, 1 << 62, 4])}, None),
        ({"w": entry([1 << 62, 0], 0, 0)}, None),
        ({"__metadata__": {"step": "9" * 5000}, "w": entry([4])}, None),
        (b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, head: Any, length: int | None) -> None:
    data = b"" if "0, 0]" in str(head) else bytes(16)
    for step in (10, 20):
        safetensors_file(tmp_path / f"step-{step}.safetensors", head, data, length)
    refused(lambda: collect(tmp_path, tmp_path / "bank"), str(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",  # bytes of a tebibyte
        b"\x80\x04Nr" + struct.pack("<I", (1 << 32) - 2) + b".",  # a memo of four thousand million places
        b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
    ],
)
def test_pickles_that_claim_memory_are_refused(tmp_path: Path, content: bytes) -> None:
    for step in (10, 20):
        (tmp_path / f"step-{step}.pt").write_bytes(content)
    refused(lambda: collect(tmp_path, tmp_path / "bank"), "step-10.pt")


def test_names_of_tensors_are_no_places(tmp_path: Path) -> None:
    """They stand in tables alone; digits without end are no number."""
    names = ("../../x", "/etc/passwd", "<script>alert(1)</script>", "w" + "9" * 6000, "a\nb")
    head = {name: entry([4], 16 * k, 16 * k + 16) for k, name in enumerate(names)}
    for step in (10, 20):
        safetensors_file(tmp_path / f"step-{step}.safetensors", head, np.arange(20, dtype="<f4").tobytes())
    bank = collect(tmp_path, tmp_path / "bank")
    assert {tensor.name for tensor in bank.tensors} == set(names)
    assert sorted(path.name for path in bank.path.iterdir()) == ["index.json", "segment-0000.h5"]
