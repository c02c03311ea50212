"""Pages from the templates in ``web/``: styles, scripts and data within, and a policy that lets nothing be loaded."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

FOLDER = Path(__file__).parent / "web"
STYLES = ("base", "tables", "figures", "print")
LIBRARIES = ("d3", "plot")
# In this order: each may use what those before it define.
SCRIPTS = ("theme", "controls", "reading", "marks")
PLOTS = ("methods", "courses", "coefficients", "cost", "landscape", "lines")
STARTING = ("stage", "comparison", "copy", "start")
# What HTML or a line of script could end at; within JSON's strings they can be written as numbers.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def render(template: str, **context: Any) -> str:
    """The page that ``template``, which extends ``base.html.j2``, makes of ``context``; every text in it is escaped."""
    from lcsc import __version__

    found = scripts()
    return (
        environment()
        .get_template(template)
        .render(
            **context,
            styles=trusted(_joined("css", STYLES, "css")),
            scripts=[trusted(script) for script in found],
            policy=trusted(policy(found)),
            version=__version__,
        )
    )


@cache
def environment() -> Environment:
    """Where templates are looked up; with the filters ``json``, ``trusted`` and ``data_uri``."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(json=json_block, trusted=trusted, data_uri=data_uri)
    return found


@cache
def scripts() -> tuple[str, ...]:
    """The texts of the page's ``script`` elements: libraries, then ours, in one scope that nothing else sees."""
    libraries = tuple(_read(FOLDER / "vendor" / f"{name}.min.js") for name in LIBRARIES)
    ours = "\n".join(
        _joined(*part) for part in (("js", SCRIPTS, "js"), ("js/plots", PLOTS, "js"), ("js", STARTING, "js"))
    )
    return (*libraries, f'(() => {{\n"use strict";\n{ours}\n}})();')


def policy(texts: tuple[str, ...]) -> str:
    """A Content-Security-Policy that runs these scripts, by their hashes, and no other, and loads nothing."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_block(value: Any) -> Markup:
    """``value`` as JSON that can stand in a ``script`` element: no text in it can end that, or be taken for markup."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return trusted(text.translate(_ESCAPES))


def data_uri(png: bytes) -> str:
    """A PNG as an address that holds the whole picture."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def trusted(text: str) -> Markup:
    """HTML, style or script of our own making, which is not escaped again."""
    from markupsafe import Markup

    return Markup(text.strip())


def _joined(folder: str, names: tuple[str, ...], suffix: str) -> str:
    return "\n".join(_read(FOLDER / folder / f"{name}.{suffix}") for name in names)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
