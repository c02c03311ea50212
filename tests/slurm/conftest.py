"""A real Slurm of one node for the tests in this folder; they are skipped, with the reason, where none can be had."""

from __future__ import annotations

from collections.abc import Iterator

import one_node
import pytest


@pytest.fixture(scope="session")
def slurm_node() -> Iterator[None]:
    """Slurm, started before the first test that needs it and removed after the last."""
    reason = one_node.missing() or one_node.start()
    if reason:
        pytest.skip(reason)
    yield
    one_node.purge()
