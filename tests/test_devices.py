"""A device for each job: locks on a pretended list of devices, held by processes of their own."""

import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from lcsc import devices
from lcsc.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent
JOB = """
import os, sys
from lcsc.devices import claim_device
claim_device()
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


@contextmanager
def job(folder, listed="0,GPU-ab", **more):
    """A process that takes a device and keeps it until its stdin is closed, or it is killed."""
    environment = {key: value for key, value in os.environ.items() if key != devices.VISIBLE}
    environment |= {"TMPDIR": str(folder), devices.LIST: listed, "PYTHONPATH": str(REPOSITORY), **more}
    process = subprocess.Popen(
        [sys.executable, "-c", JOB], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def device_of(process):
    return process.stdout.readline().strip()


def test_jobs_at_once_get_devices_of_their_own_and_one_more_waits_for_the_first_that_ends(tmp_path):
    with job(tmp_path) as first, job(tmp_path) as second:
        taken = [device_of(first), device_of(second)]
        assert sorted(taken) == ["0", "GPU-ab"]
        with job(tmp_path) as third:
            ready, _, _ = select.select([third.stdout], [], [], 1.5)
            assert not ready
            second.send_signal(signal.SIGKILL)
            assert device_of(third) == taken[1]
            assert first.poll() is None


def test_a_device_that_is_listed_twice_takes_two_jobs(tmp_path):
    with job(tmp_path, "3,3") as first, job(tmp_path, "3,3") as second:
        assert [device_of(first), device_of(second)] == ["3", "3"]


def test_what_the_user_or_slurm_has_set_stands(tmp_path):
    with job(tmp_path, "0", **{devices.VISIBLE: "5"}) as first, job(tmp_path, "0", **{devices.VISIBLE: "5"}) as second:
        assert [device_of(first), device_of(second)] == ["5", "5"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("listed", ["../x", "0;rm", "a/b"])
def test_names_that_are_none_are_refused(monkeypatch, listed):
    monkeypatch.setenv(devices.LIST, listed)
    with pytest.raises(InputError, match="LCSC_DEVICES"):
        devices.listed_devices()


def test_without_devices_there_is_nothing_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    monkeypatch.setenv(devices.LIST, "")
    assert devices.claim_device() is None
    assert devices.VISIBLE not in os.environ


def test_a_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / f"lcsc-devices-{os.getuid()}").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(InputError, match="TMPDIR"):
        devices.lock_folder()
