"""The families of runs that are known, and which of them a folder holds."""

from __future__ import annotations

from lcsc.checkpoints.banks import Banks
from lcsc.checkpoints.base import Family, RunFolder
from lcsc.checkpoints.ddim import DDIM
from lcsc.checkpoints.diffusers_folders import Diffusers
from lcsc.checkpoints.edm import EDM
from lcsc.checkpoints.lightning_files import Lightning
from lcsc.checkpoints.openai import OpenAI
from lcsc.checkpoints.plain import Plain
from lcsc.errors import InputError

# In the order in which they are asked: the more a family demands of a folder, the earlier.
FAMILIES: list[Family] = [Banks(), EDM(), OpenAI(), DDIM(), Diffusers(), Lightning(), Plain()]


def family_of(run: RunFolder, name: str = "auto") -> Family:
    """The family called ``name``, or for "auto" the first that recognises the folder."""
    for family in FAMILIES:
        if family.name == name or (name == "auto" and family.recognises(run)):
            return family
    expected = ", ".join(family.name for family in FAMILIES)
    raise InputError(f"checkpoints.format: found {name!r}, expected auto or one of {expected}")
