"""The two ways a step can end badly, and their exit codes."""


class LcscError(Exception):
    """The work failed: a step could not be finished although its input was in order (exit code 1)."""

    exit_code = 1


class InputError(LcscError):
    """The input is wrong (exit code 2).

    The message is one line that names the file, and the tensor or key in it, what was found, what was
    expected, and the way out.
    """

    exit_code = 2
