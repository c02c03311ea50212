"""Fixtures that several test modules share."""

import pytest
from tiny import make_tiny_run


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A tiny run, made once; tests must not change its files."""
    return make_tiny_run(tmp_path_factory.mktemp("tiny"))
