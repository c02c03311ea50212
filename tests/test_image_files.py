"""Folders and archives of images: order, labels, colours, sizes, and what is refused."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lcsc import data
from lcsc.data import area
from lcsc.data.natural import natural_key
from lcsc.data.sources import open_source
from lcsc.errors import InputError

RNG = np.random.default_rng(0)
COLOUR = [RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8) for _ in range(12)]


def encoded(array: np.ndarray, kind: str = "PNG", mode: str | None = None) -> bytes:
    stream = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def place(root: Path, files: dict[str, bytes], *, zipped: bool) -> dict:
    """The files in a folder or in an archive, and the settings that name it."""
    root.mkdir(parents=True, exist_ok=True)
    if zipped:
        path = root / "images.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return {"source": "zip", "path": str(path)}
    for name, content in files.items():
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_bytes(content)
    return {"source": "folder", "path": str(root / "images")}


def everything(settings: dict) -> np.ndarray:
    source = open_source(settings)
    return source.read(np.arange(len(source.labels)))


def refusal(settings: dict) -> str:
    with pytest.raises(InputError) as caught:
        everything(settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
def test_images_come_in_natural_order_whatever_their_format(tmp_path, zipped):
    kinds = ["PNG", "WEBP"]
    files = {f"img{i}.{kinds[i % 2].lower()}": encoded(COLOUR[i], kinds[i % 2]) for i in reversed(range(12))}
    files |= {"notes.txt": b"no image", ".hidden.png": b"no image either", "__MACOSX/img1.png": b"nor this"}
    settings = place(tmp_path, files, zipped=zipped)
    source = open_source(settings)
    assert source.image_shape == (3, 6, 6)
    assert source.classes is None
    assert not source.labels.any()
    assert np.array_equal(everything(settings), np.stack(COLOUR).transpose(0, 3, 1, 2))
    rows = np.array([2, 3, 11])
    assert np.array_equal(source.read(rows), np.stack(COLOUR)[rows].transpose(0, 3, 1, 2))


def test_natural_order():
    names = ["a/10.png", "a/9.png", "a10/1.png", "a2/1.png", "B.png", "a.png", "a/b2.png", "a/02.png", "a/2.png"]
    ordered = ["B.png", "a/02.png", "a/2.png", "a/9.png", "a/10.png", "a/b2.png", "a2/1.png", "a10/1.png", "a.png"]
    assert sorted(names, key=natural_key) == ordered


@pytest.mark.parametrize("zipped", [False, True])
def test_sub_folders_are_labels(tmp_path, zipped):
    names = ["class10/b.png", "class9/a.png", "class9/deep/c.png", "class10/a.png"]
    settings = place(tmp_path, {name: encoded(COLOUR[i]) for i, name in enumerate(names)}, zipped=zipped)
    source = open_source(settings)
    assert source.classes == ("class9", "class10")
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(everything(settings)[2], COLOUR[3].transpose(2, 0, 1))


@pytest.mark.parametrize("zipped", [False, True])
def test_the_labels_of_edm_come_before_its_folders(tmp_path, zipped):
    names = [f"0000{i % 2}/img{i:08d}.png" for i in range(4)]
    files = {name: encoded(COLOUR[i]) for i, name in enumerate(names)}
    listed = {"labels": [[name, 7 - i] for i, name in enumerate(names)]}
    settings = place(tmp_path, {**files, "dataset.json": json.dumps(listed).encode()}, zipped=zipped)
    assert open_source(settings).labels.tolist() == [7, 5, 6, 4]  # names in order: 0, 2, 1, 3
    settings = place(tmp_path, {**files, "dataset.json": b'{"labels": null}'}, zipped=zipped)
    assert not open_source(settings).labels.any()
    short = {"labels": listed["labels"][:3]}
    settings = place(tmp_path, {**files, "dataset.json": json.dumps(short).encode()}, zipped=zipped)
    assert "dataset.json: has no label of 00001/img00000003.png" in refusal(settings)
    settings = place(tmp_path, {**files, "dataset.json": b'{"labels": [["a", 0.5]]}'}, zipped=zipped)
    assert "dataset.json: labels are no pairs of a name and a whole number" in refusal(settings)
    settings = place(tmp_path, {**files, "dataset.json": b'{"labels"'}, zipped=zipped)
    assert "dataset.json: cannot be read as a list of labels" in refusal(settings)


def test_grey_images_stay_grey_unless_one_has_colours(tmp_path):
    grey = [image[:, :, 0] for image in COLOUR[:3]]
    settings = place(tmp_path, {f"{i}.png": encoded(image) for i, image in enumerate(grey)}, zipped=False)
    assert np.array_equal(everything(settings), np.stack(grey)[:, None])
    settings = place(tmp_path, {"3.png": encoded(COLOUR[3])}, zipped=False)
    assert np.array_equal(everything(settings)[:3], np.repeat(np.stack(grey)[:, None], 3, axis=1))


def test_palettes_and_jpegs_are_read_as_pillow_reads_them(tmp_path):
    palette, jpeg = encoded(COLOUR[0], mode="P"), encoded(COLOUR[1], "JPEG")
    found = everything(place(tmp_path, {"a.png": palette, "b.JPG": jpeg}, zipped=False))
    for image, content in zip(found, (palette, jpeg), strict=True):
        expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert np.array_equal(image, expected.transpose(2, 0, 1))


def test_sizes_that_differ_need_a_size(tmp_path):
    wide = RNG.integers(0, 256, (8, 11, 3), dtype=np.uint8)
    settings = place(tmp_path, {"a.png": encoded(COLOUR[0]), "b.png": encoded(wide)}, zipped=False)
    assert "images/b.png: found 11×8 pixels, expected 6×6 as a.png has; give data.size" in refusal(settings)
    found = everything({**settings, "size": 5})
    for image, array in zip(found, (COLOUR[0], wide), strict=True):
        assert np.array_equal(image, area.smaller(array.transpose(2, 0, 1)[None], 5)[0])
    assert "images/a.png: size is 7, found 6×6 pixels" in refusal({**settings, "size": 7})


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [(encoded(COLOUR[0])[:60], r"b.png: cannot be read as an image of PNG, JPEG, WEBP"),
     (b"", r"b.png: cannot be read as an image"),
     (b"GIF89a text", r"b.png: cannot be read as an image"),
     (encoded(np.dstack([COLOUR[0], COLOUR[0][:, :, :1]])), "b.png: found transparency"),
     (encoded(COLOUR[0][:, :, 0].astype(np.uint16) * 9), "b.png: found pixels of type 'I;16'")],
)  # fmt: skip
def test_bad_images_are_refused_with_the_file(tmp_path, zipped, content, message):
    settings = place(tmp_path, {"a.png": encoded(COLOUR[0]), "b.png": content}, zipped=zipped)
    assert message in refusal(settings)


def huge_png() -> bytes:
    """A file of some bytes that says it has 40,000 x 40,000 pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_bombs_are_refused_before_they_unpack(tmp_path, monkeypatch):
    assert "b.png: found more pixels than Pillow takes" in refusal(place(tmp_path, {"b.png": huge_png()}, zipped=True))
    monkeypatch.setattr("lcsc.data.image_files.MOST_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(5 << 20))
    assert (tmp_path / "bomb.zip").stat().st_size < 10_000
    found = refusal({"source": "zip", "path": str(tmp_path / "bomb.zip")})
    assert "bomb.zip/a.png: unpacks to 5 MiB, expected at most 1" in found


def test_places_without_images_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "found no images" in refusal({"source": "folder", "path": str(tmp_path / "empty")})
    assert "found nothing, expected a folder" in refusal({"source": "folder", "path": str(tmp_path / "none")})
    (tmp_path / "x.zip").write_bytes(b"PK, but no archive")
    assert "x.zip: cannot be read as a zip archive of images" in refusal({"source": "zip", "path": f"{tmp_path}/x.zip"})
    files = {"a.png": encoded(COLOUR[0]), "x/b.png": encoded(COLOUR[1])}
    assert "a.png: found an image beside sub-folders" in refusal(place(tmp_path, files, zipped=False))


def test_links_to_folders_are_followed_once(tmp_path):
    settings = place(tmp_path, {"a/1.png": encoded(COLOUR[0])}, zipped=False)
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "2.png").write_bytes(encoded(COLOUR[1]))
    (tmp_path / "images" / "b").symlink_to(tmp_path / "far")
    (tmp_path / "images" / "a" / "loop").symlink_to(tmp_path / "images")
    source = open_source(settings)
    assert source.classes == ("a", "b")
    assert source.labels.tolist() == [0, 1]


def test_a_folder_becomes_parts_with_held_out_images_of_its_own(tmp_path):
    train = place(tmp_path / "t", {f"{i % 2}/{i}.png": encoded(COLOUR[i]) for i in range(8)}, zipped=False)
    held = place(tmp_path / "h", {f"{i % 2}/{i}.png": encoded(COLOUR[i]) for i in range(8, 12)}, zipped=True)
    settings = {**train, "source": "folder", "held_out": None, "seed": 0}
    same = place(tmp_path / "h", {f"{i % 2}/{i}.png": encoded(COLOUR[i]) for i in range(8, 12)}, zipped=False)
    data.prepare({**settings, "held_out_path": same["path"]}, tmp_path / "out")
    part = data.load_part(tmp_path / "out" / "held-out.npz")
    assert part.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(part.images, np.stack([COLOUR[i] for i in (8, 10, 9, 11)]).transpose(0, 3, 1, 2))
    assert len(data.load_part(tmp_path / "out" / "train.npz").images) == 8
    assert np.array_equal(everything(held), part.images)
    other = place(tmp_path / "o", {f"{i}/{i}.png": encoded(COLOUR[i]) for i in range(3)}, zipped=False)
    with pytest.raises(InputError, match=r"held-out images have 3 classes \(0 to 2\), expected 2 classes \(0 to 1\)"):
        data.prepare({**settings, "held_out_path": other["path"]}, tmp_path / "out")
    small = place(tmp_path / "s", {"0/a.png": encoded(COLOUR[0][:5, :5]), "1/a.png": encoded(COLOUR[0][:5, :5])},
                  zipped=False)  # fmt: skip
    with pytest.raises(InputError, match=r"have the shape \[3, 5, 5\], expected the shape \[3, 6, 6\]"):
        data.prepare({**settings, "held_out_path": small["path"]}, tmp_path / "out")
