"""What must be there before Snakemake reads a configuration."""

import sys
from pathlib import Path

try:
    import lcsc.config as lcsc_config
    from lcsc import failures, layout
    from lcsc.errors import InputError
    from lcsc.files import canonical_json
    from lcsc.plan import resources as limits
    from lcsc.timers import cancel_timers
except ImportError as error:
    sys.exit(
        f"lcsc is not installed for {sys.executable} ({error}); run: pip install -e ."
    )


def or_end(function, *arguments, **named):
    """What ``function`` returns; ends Snakemake with one line where it refuses its input."""
    try:
        return function(*arguments, **named)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def require_plain(path):
    """End Snakemake with one line where the configuration ``path`` is no plain YAML, such as a program (YTE). Files
    given with --configfile Snakemake has evaluated before it comes here."""
    or_end(lcsc_config.read_plain, relative(path))


def relative(path):
    """``path`` from the working directory where it lies within."""
    path = Path(path)
    return str(
        path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    )
