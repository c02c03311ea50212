"""A device of its own for each job on one machine: lock files, where nobody else shares the devices out.

Snakemake starts several jobs at once and leaves all of them all devices. A job takes the first slot that is free, and
waits where none is: two jobs on one device are seldom faster than one after the other, and may lack memory. The system
frees a slot when its job ends, however it does. Where Slurm or the user has set ``CUDA_VISIBLE_DEVICES``, that stands.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lcsc.errors import InputError
from lcsc.progress import logger
from lcsc.runtime import resolve_device

if TYPE_CHECKING:
    import torch

VISIBLE, LIST = "CUDA_VISIBLE_DEVICES", "LCSC_DEVICES"
WAIT = 0.5  # seconds between looks for a free slot
SAID_EVERY = 60.0

_held: list[int] = []  # descriptors of locks, open until the process ends


def claim_device() -> str | None:
    """Take a free device for this process and make it the only one that CUDA shows; None where there is nothing to do.

    To be called before CUDA starts. Devices are those that the variable ``LCSC_DEVICES`` lists (``0,1``; one that is
    listed twice takes two jobs), by default all that PyTorch counts. Waits until one is free. A second call keeps the
    first one's device.
    """
    if VISIBLE in os.environ:
        return None
    names = listed_devices()
    if not names:
        return None
    device, descriptor = _wait_for(slots(names), lock_folder())
    _held.append(descriptor)
    os.environ[VISIBLE] = device
    logger.debug("device %s of %s, by lock", device, ", ".join(names))
    return device


def device_of_job(name: str) -> torch.device:
    """The torch device for ``auto``, ``cpu`` or ``cuda`` in a job of its own: one that no other job has."""
    if name != "cpu":
        claim_device()
    return resolve_device(name)


def listed_devices() -> list[str]:
    """The devices to share out, as ``CUDA_VISIBLE_DEVICES`` names them."""
    given = os.environ.get(LIST)
    if given is None:
        import torch

        # Counted through NVML: asking CUDA itself would fix what this process sees.
        return [str(index) for index in range(torch.cuda.device_count())]
    names = [name.strip() for name in given.split(",") if name.strip()]
    if any(not all(sign.isalnum() or sign in "-_:." for sign in name) for name in names):
        raise InputError(f"{LIST}: found {given!r}, expected names of CUDA devices such as 0,1; correct it or unset it")
    return names


def slots(names: Sequence[str]) -> list[tuple[str, str]]:
    """(device, name of its lock's file) for each of ``names``; each further time that one is listed is a slot, too."""
    return [
        (name, f"device-{name.replace(':', '_')}.{list(names[:place]).count(name)}.lock")
        for place, name in enumerate(names)
    ]


def lock_folder() -> Path:
    """A folder of this user's own on this machine's disk, whatever the run; refuses one of somebody else."""
    folder = Path(tempfile.gettempdir()) / f"lcsc-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise InputError(f"{folder}: found what is not a folder of this user, expected one for locks; set TMPDIR")
    return folder


def try_lock(path: Path) -> int | None:
    """The descriptor of a lock on the file ``path``, None where another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _wait_for(choices: Sequence[tuple[str, str]], folder: Path) -> tuple[str, int]:
    said = -SAID_EVERY
    while True:
        for device, name in choices:
            descriptor = try_lock(folder / name)
            if descriptor is not None:
                return device, descriptor
        if time.monotonic() - said >= SAID_EVERY:
            said = time.monotonic()
            logger.info("waiting for a free device of %s", ", ".join(sorted({device for device, _ in choices})))
        time.sleep(WAIT)
