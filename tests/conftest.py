"""Fixtures that several test modules share."""

import pytest
from hypothesis import settings
from tiny import make_tiny_run

from lcsc.runtime import deterministic

# The same examples each time: a test that fails must fail for everyone, and on the next run, too.
settings.register_profile("lcsc", derandomize=True, deadline=None)
settings.load_profile("lcsc")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A tiny run, made once; tests must not change its files."""
    return make_tiny_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def one_thread():
    """As scoring jobs run: deterministic, with one thread."""
    with deterministic(1):
        yield
