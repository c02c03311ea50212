"""Device, threads and determinism: what must be set before numbers are made."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from lcsc.errors import InputError

if TYPE_CHECKING:
    import torch

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def limit_threads_before_imports(threads: int) -> None:
    """Fix the sizes of thread pools that NumPy's and PyTorch's libraries make when they are imported.

    Snakemake sets the same variables to a job's ``threads``; results must not depend on that, since a matrix
    product's rounding changes with the number of threads.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)


@contextmanager
def deterministic(threads: int = 1) -> Iterator[None]:
    """Fixed threads, deterministic algorithms and no TF32 within the block; the former settings after it."""
    import torch
    from threadpoolctl import threadpool_limits

    # cuBLAS needs a fixed workspace to be deterministic, and reads this at its first product. Without it PyTorch
    # refuses products on a GPU, also where one's own program comes here without a command line.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    tf32 = (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )
    torch.set_num_threads(threads)
    # What `use_deterministic_algorithms` sets, without its import of PyTorch's compiler, 2 s of each step's start.
    torch.set_deterministic_debug_mode("error")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32[:2]
        torch.backends.cudnn.benchmark = tf32[2]


def resolve_device(name: str) -> torch.device:
    """The torch device for ``auto``, ``cpu`` or ``cuda``; :class:`InputError` where CUDA is asked for in vain."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: found 'cuda', but PyTorch sees no CUDA device here; use 'auto' or 'cpu'")
    if name not in ("cpu", "cuda"):
        raise InputError(f"device: found {name!r}, expected 'auto', 'cpu' or 'cuda'")
    return torch.device(name)


def release_freed_memory() -> None:
    """Give memory that was freed back to the system, where the C library is glibc.

    It keeps freed memory between small pieces that are still used, so that a loop which keeps little of each round
    grows by much more than it keeps.
    """
    trim = _trim_of_glibc()
    if trim is not None:
        trim(0)


@cache
def _trim_of_glibc() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


def peak_memory_mb() -> float:
    """The largest resident memory this process has had, in MB (2**20 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def peak_device_memory_mb() -> float | None:
    """The most memory that tensors have had on the CUDA device, in MB; None where none was used."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_allocated()) / (1 << 20)
