"""Images and extractors, which runs share: what fixes them, and the ids that their files are named by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lcsc.files import hash_of

Section = Mapping[str, Any]
_ID_DIGITS = 10
# Keys of a set of images that older ones had not, and whose ids must stay.
_LATER = ("size", "held_out_path", "images_key", "labels_key")


def data_id(config: Section, name: str) -> str:
    """The name of a set of images with the hash of what makes it: ``digits-0123456789``."""
    return f"{name}-{hash_of(_images(config['data'][name]))[:_ID_DIGITS]}"


def extractor_id(config: Section, name: str) -> str:
    """The name of an extractor with the hash of what makes it."""
    settings = extractor_settings(config, name)
    return f"{name}-{hash_of({key: value for key, value in settings.items() if key != 'name'})[:_ID_DIGITS]}"


def data_settings(config: Section, name: str) -> dict[str, Any]:
    """What fixes the set of images ``name``."""
    return {"name": name, **_images(config["data"][name])}


def _images(entry: Section) -> dict[str, Any]:
    """What fixes a set of images: of the keys that came later, those that say something."""
    return {
        key: value for key, value in entry.items() if key != "statistics" and (key not in _LATER or value is not None)
    }


def extractor_settings(config: Section, name: str) -> dict[str, Any]:
    """What fixes the extractor ``name``."""
    entry = {key: value for key, value in config["extractors"][name].items() if key != "data"}
    if "data" not in config["extractors"][name]:
        # Nothing is trained; where the weights are makes no difference, which sha256 they have does.
        return {"name": name, **_given(entry, "variant", without=("weights",))}
    entry = _given(entry, "pixels", "stages", "width")
    trained_on = data_id(config, config["extractors"][name]["data"])
    return {"name": name, **entry, "data_id": trained_on, "threads": config["threads"]}


def _given(entry: Section, *optional: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """``entry`` but for ``optional`` keys that are null: an extractor without is what it was before there were any."""
    dropped = {*without, *(key for key in optional if entry[key] is None)}
    return {key: value for key, value in entry.items() if key not in dropped}
