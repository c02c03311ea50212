"""Published statistics: read, checked, and never mixed with those of another network or resizing."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from small_workflow import CONFIG

from lcsc.cli import main
from lcsc.config import data_id, resolve, step_settings
from lcsc.config.data_checks import statistics_problems
from lcsc.errors import InputError
from lcsc.files import sha256_of
from lcsc.metrics.frechet import frechet_distance
from lcsc.metrics.reference_file import read_reference
from lcsc.published import import_reference, read_statistics
from lcsc.scoring import require_match

FEATURES = np.random.default_rng(0).normal(size=(50, 6)) @ np.diag([3.0, 1, 1, 1, 0.1, 1e-4])
MEAN, COVARIANCE = FEATURES.mean(0), np.cov(FEATURES.T)


def given(path, **more) -> dict:
    return {"data_id": "d-1", "statistics": {"train": {"path": str(path), "made_by": "own", "count": 50, **more}}}


def test_a_published_reference_serves_as_one_that_was_computed(tiny_run, tmp_path):
    computed = tiny_run.reference("cnn")
    statistics = computed.reference.statistics
    np.savez(tmp_path / "p.npz", mu=statistics.mean, sigma=statistics.covariance)
    settings = given(tmp_path / "p.npz", count=statistics.count)
    import_reference(settings, "train", tiny_run.folder / "cnn.safetensors", tmp_path / "r.h5")
    found = read_reference(tmp_path / "r.h5")
    require_match(tiny_run.extractor("cnn"), found)
    assert found.about["origin"] == f"own: p.npz, sha256 {sha256_of(tmp_path / 'p.npz')}"
    assert {key: found.about[key] for key in ("data", "part", "extractor", "resize")} == {
        "data": "d-1", "part": "train", "extractor": "cnn", "resize": "none"
    }  # fmt: skip
    assert found.reference.statistics.count == statistics.count
    features = np.random.default_rng(1).normal(size=(40, statistics.dimension))
    assert frechet_distance(features, found.reference) == frechet_distance(features, computed.reference)
    assert found.identity != computed.identity
    with pytest.raises(InputError, match="found none of the held-out images"):
        import_reference(settings, "held-out", tiny_run.folder / "cnn.safetensors", tmp_path / "r.h5")


def test_the_command_takes_published_statistics(tiny_run, tmp_path):
    statistics = tiny_run.reference("cnn").reference.statistics
    np.savez(tmp_path / "p.npz", mu=statistics.mean, sigma=statistics.covariance)
    arguments = ["--extractor", tiny_run.folder / "cnn.safetensors", "--output", tmp_path / "r.h5", "--quiet"]
    arguments += ["--settings", json.dumps(given(tmp_path / "p.npz")), "--published", "train"]
    assert main(["reference", *map(str, arguments)]) == 0
    assert read_reference(tmp_path / "r.h5").about["origin"].startswith("own: p.npz")


def test_statistics_of_another_dimension_are_refused(tiny_run, tmp_path):
    np.savez(tmp_path / "p.npz", mu=MEAN[:5], sigma=COVARIANCE[:5, :5])
    with pytest.raises(InputError, match=r"p.npz: mu has 5 values, expected 6 as extractor 'cnn' makes"):
        import_reference(given(tmp_path / "p.npz"), "train", tiny_run.folder / "cnn.safetensors", tmp_path / "r.h5")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_files_of_openai_are_read_without_their_images(tmp_path, dtype, monkeypatch):
    arrays = {"mu": MEAN.astype(dtype), "sigma": COVARIANCE.astype(dtype)}
    np.savez(tmp_path / "o.npz", **arrays, mu_s=np.ones(3), sigma_s=np.eye(3), arr_0=np.zeros((9, 8, 8, 3), np.uint8))
    read = []
    monkeypatch.setattr("lcsc.published.mapped", lambda path, name, what: (read.append(name), arrays[name])[1])
    found = read_statistics(tmp_path / "o.npz", 50)
    assert read == ["mu", "sigma"]
    np.testing.assert_allclose(found.covariance, COVARIANCE, rtol=1e-6, atol=1e-6)
    assert np.array_equal(found.covariance, found.covariance.T)
    assert (found.mean.dtype, found.covariance.dtype, found.count) == (np.float64, np.float64, 50)


def lopsided():
    matrix = COVARIANCE.copy()
    matrix[0, 1] += 0.01
    return matrix


@pytest.mark.parametrize(
    ("arrays", "message"),
    [({"mu": MEAN}, r"array 'sigma' is missing, found \['mu'\]"),
     ({"mu": MEAN, "sigma": COVARIANCE[:, :5]}, r"mu \(6,\) and sigma \(6, 5\) do not fit"),
     ({"mu": MEAN[None], "sigma": COVARIANCE}, r"mu \(1, 6\)"),
     ({"mu": MEAN * np.nan, "sigma": COVARIANCE}, "mu is float64 or not finite"),
     ({"mu": MEAN, "sigma": COVARIANCE.astype(int)}, "sigma is int64 or not finite"),
     ({"mu": MEAN, "sigma": lopsided()}, r"sigma is not symmetric \(differences up to 0.01\)"),
     ({"mu": MEAN, "sigma": COVARIANCE - 0.05 * np.eye(6)}, "sigma has the eigenvalues -0.05"),
     ({"mu": MEAN, "sigma": np.zeros((6, 6))}, "sigma has the eigenvalues 0 to 0")],
)  # fmt: skip
def test_what_is_no_mean_and_covariance_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(InputError, match=f"p.npz: {message}") as error:
        read_statistics(tmp_path / "p.npz", 50)
    assert "\n" not in str(error.value)


def test_pickles_and_damaged_files_are_refused(tmp_path):
    (tmp_path / "ref.pkl").write_bytes(b"x")
    with pytest.raises(InputError, match=r"ref.pkl: found a file of type '.pkl', expected an .npz .*numpy.savez"):
        read_statistics(tmp_path / "ref.pkl", 50)
    (tmp_path / "p.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"p.npz: cannot be read as statistics"):
        read_statistics(tmp_path / "p.npz", 50)
    np.savez(tmp_path / "p.npz", mu=np.array([{}], dtype=object), sigma=COVARIANCE)
    with pytest.raises(InputError, match=r"p.npz: cannot be read as statistics"):
        read_statistics(tmp_path / "p.npz", 50)


def with_statistics(extractor: str = "cnn", part: str = "train", **entry) -> dict:
    config = copy.deepcopy(CONFIG)
    found = {"path": "cifar10_legacy_tensorflow_train_32.npz", "made_by": "clean-fid", "count": 50_000, **entry}
    config["data"]["digits"]["statistics"] = {extractor: {part: found}}
    return config


@pytest.mark.parametrize(
    ("config", "parts"),
    [(with_statistics("none"), ["statistics.none: found the name 'none'", "a name in 'extractors'"]),
     (with_statistics(), ["statistics.cnn.train: found published statistics", "that the workflow does not train"]),
     (with_statistics(made_by="me"), ['made_by: found "me"', "clean-fid, pytorch-fid, edm, openai, own"]),
     (with_statistics(count=1), ["count: found 1", "at least 2"])],
)  # fmt: skip
def test_statistics_of_another_extractor_are_refused_in_the_config(config, parts):
    with pytest.raises(InputError) as error:
        resolve(config)
    assert all(part in str(error.value) for part in parts), str(error.value)


INCEPTION = {"kind": "inception", "mode": "legacy_tensorflow", "resize": None}


def problem(extractor: dict, **entry) -> str:
    found = {"path": "x.npz", "made_by": "edm", "count": 9, **entry}
    data = {"statistics": {"one": {"train": found, "held_out": None}}}
    problems = [*statistics_problems(("data", "d", "statistics"), data, {"one": extractor})]
    return " ".join(" ".join([".".join(map(str, p.place)), p.found, p.expected]) for p in problems)


def test_statistics_belong_to_a_network_and_a_resizing():
    assert problem(INCEPTION) == problem(INCEPTION, made_by="openai") == ""
    assert problem(INCEPTION, made_by="clean-fid", path="a/cifar10_legacy_tensorflow_train_32.npz") == ""
    assert problem({"kind": "dinov2"}, made_by="own") == ""
    assert "one of the mode 'clean' an extractor of the mode 'legacy_tensorflow'" in problem(
        {**INCEPTION, "mode": "clean"}
    )
    assert "'legacy_pytorch', as pytorch-fid uses" in problem(INCEPTION, made_by="pytorch-fid")
    found = problem(INCEPTION, made_by="clean-fid", path="cifar10_clean_train_32.npz")
    assert "statistics of the mode 'clean' the extractor's, 'legacy_tensorflow'" in found
    assert "resize 'bicubic-antialias'" in problem({**INCEPTION, "resize": "bicubic-antialias"})
    assert "'own' with an extractor of kind dinov2" in problem({"kind": "dinov2"})
    assert "data.d.statistics.one.train.path" in problem(INCEPTION, path="img512.pkl")


def test_published_statistics_change_the_reference_alone():
    config = copy.deepcopy(CONFIG)
    plain = resolve(config)
    found = resolve(config)
    entry = {"train": {"path": "x.npz", "made_by": "own", "count": 9}, "held_out": None}
    found["data"]["digits"]["statistics"] = {"cnn": entry}
    assert data_id(found, "digits") == data_id(plain, "digits")
    run = next(iter(plain["runs"]))
    for step, name in (("data", "digits"), ("reference", "mlp"), ("baselines", None)):
        assert step_settings(found, run, step, name=name) == step_settings(plain, run, step, name=name)
    assert step_settings(found, run, "reference", name="cnn")["statistics"] == entry
    assert "statistics" not in step_settings(plain, run, "reference", name="cnn")
