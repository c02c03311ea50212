"""What every step sets while it calculates, and what that must not cost."""

import subprocess
import sys

import pytest
import torch

from lcsc.runtime import deterministic


def test_algorithms_are_deterministic_within_and_as_before_after():
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(1):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    torch.set_deterministic_debug_mode("warn")
    try:
        with deterministic(1):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.set_deterministic_debug_mode("default")


@pytest.mark.parametrize("package", ["torch._inductor", "torch._dynamo", "sympy"])
def test_the_compiler_is_not_imported_for_it(package):
    code = (
        "import sys; from lcsc.runtime import deterministic\n"
        "with deterministic(1): pass\n"
        f"print({package!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
