"""Where the workflow puts what runs share; ids come from the configuration alone, so nothing is looked up on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

from lcsc.config import data_id, extractor_id
from lcsc.config.settings import INCEPTION_WEIGHTS

RESULTS = "results"
Role = Literal["search", "held_out"]


def data_folder(config: Mapping[str, Any], run: str, results: str = RESULTS) -> str:
    """The folder of the images of ``run``: train.npz and held-out.npz."""
    return f"{results}/shared/data/{data_id(config, config['runs'][run]['data'])}"


def extractor_file(config: Mapping[str, Any], run: str, role: Role, results: str = RESULTS) -> str:
    """The extractor that ``run`` uses as ``search`` or ``held_out``."""
    return extractor_path(config, config["runs"][run]["extractors"][role], results)


def reference_file(config: Mapping[str, Any], run: str, role: Role, part: str, results: str = RESULTS) -> str:
    """The statistics of one part of the images of ``run`` for one of its extractors."""
    return reference_path(config, run, config["runs"][run]["extractors"][role], part, results)


def weights_path(config: Mapping[str, Any], name: str, results: str = RESULTS) -> str | None:
    """The weights of the extractor called ``name``: the file it names, else where they are fetched to, else None."""
    entry = config["extractors"][name]
    fetched = f"{results}/shared/weights/{INCEPTION_WEIGHTS[entry['mode']]}" if entry["kind"] == "inception" else None
    return entry.get("weights") or fetched


def extractor_path(config: Mapping[str, Any], name: str, results: str = RESULTS) -> str:
    """The file of the extractor that the configuration calls ``name``."""
    return f"{results}/shared/extractors/{extractor_id(config, name)}.safetensors"


def reference_path(config: Mapping[str, Any], run: str, name: str, part: str, results: str = RESULTS) -> str:
    """The statistics of one part of the images of ``run`` for the extractor called ``name``."""
    images = PurePosixPath(data_folder(config, run)).name
    return f"{results}/shared/references/{images}.{part}.{extractor_id(config, name)}.h5"


def bank_index(run: str, results: str = RESULTS) -> str:
    """The index of the bank of ``run``."""
    return f"{results}/{run}/bank/index.json"


def bank_files(run: str, results: str = RESULTS) -> dict[str, str]:
    """The index of the bank of ``run`` and the segment with its weights, as steps that read it need them."""
    return {"bank": bank_index(run, results), "segment": f"{results}/{run}/bank/segment-0000.h5"}


def landscape_path(run: str, name: str, results: str = RESULTS) -> str:
    """The record of a landscape of ``run``."""
    return f"{results}/{run}/landscapes/{name}.json"


def landscape_figures(landscapes: Mapping[str, Mapping[str, Any]]) -> int:
    """How many figures a run's report has of its ``landscapes``: one for each number of images."""
    return len({entry["images"] for entry in landscapes.values()})


def landscape_figure(place: int) -> str:
    """The name of the figure of landscapes at ``place``, from 1 on."""
    return f"landscape-{place}" if place > 1 else "landscape"


def ema_name(rate: float) -> str:
    """The file name of a training's average at ``rate``."""
    return f"rate-{sortable(rate)}.safetensors"


def ema_path(run: str, rate: float, results: str = RESULTS) -> str:
    """The average at ``rate`` that the training of ``run`` tracked."""
    return f"{results}/{run}/train/constant/ema/{ema_name(rate)}"


def sortable(value: float) -> str:
    """With at least four decimals, so that names sort by value, and all of them where it has more."""
    return max(f"{value:.4f}", f"{value!r}", key=len)
