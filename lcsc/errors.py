"""The two ways a step can end badly, their exit codes, and what others' errors say in a line of these."""

from __future__ import annotations


class LcscError(Exception):
    """The work failed: a step could not be finished although its input was in order (exit code 1)."""

    exit_code = 1


class InputError(LcscError):
    """The input is wrong (exit code 2).

    The message is one line that names the file, and the tensor or key in it, what was found, what was
    expected, and the way out.
    """

    exit_code = 2


def reason_of(error: BaseException) -> str:
    """The first line of what ``error`` says, the system's own words where it has some; else the error's name."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = text.strip().splitlines()
    return lines[0] if lines else type(error).__name__


def whole_reason_of(error: BaseException, most: int = 300) -> str:
    """All that ``error`` says on one line, up to ``most`` characters; else the error's name.

    For errors whose first line is a heading: PyTorch's of tensors that do not fit.
    """
    return " ".join(str(error).split())[:most] or type(error).__name__
