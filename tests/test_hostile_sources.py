"""No source of the package or the workflow runs what a file or a configuration says, but for the places named here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = sorted((REPOSITORY / "lcsc").rglob("*.py"))
RULES = [REPOSITORY / "workflow" / "Snakefile", *sorted((REPOSITORY / "workflow" / "rules").glob("*.smk"))]
# The modules that may import pickle: two name its errors or list its instructions, two read it without running
# anything in it, and the worker, which needs `trust_pickle` and `python_path`, is the one that runs it.
PICKLE = {
    "lcsc/checkpoints/torch_files.py",
    "lcsc/data/array_pickles.py",
    "lcsc/checkpoints/inert_pickle.py",
    "lcsc/checkpoints/pickle_worker.py",
}
LOADS = {
    ("lcsc/checkpoints/pickle_worker.py", "pickle.load"),
    ("lcsc/checkpoints/pickle_worker.py", "torch.load"),
}
# The worker that loads a pickle with the code that the configuration names, a fixed line of Python that is timed, and
# the command that whoever calls `lcsc watch` gives it, as words and not through a shell.
PROGRAMS = {
    ("lcsc/checkpoints/edm.py", "subprocess.run"),
    ("lcsc/plan/stopwatch.py", "subprocess.run"),
    ("lcsc/status/live.py", "subprocess.run"),
    ("lcsc/status/live.py", "subprocess.Popen"),
}
FORBIDDEN = re.compile(
    r"(pickle|marshal|shelve|dill|joblib)\.(loads?|open)|torch\.load|numpy\.load|np\.load|(builtins\.)?(eval|exec|compile)"
    r"|__import__|os\.(system|popen|exec\w+|spawn\w+)|subprocess\.\w+|yaml\.(unsafe_load|full_load|load_all|load)"
)
SAFE_YAML = ("lcsc/config/yaml_files.py", "yaml.load")  # with a subclass of SafeLoader

# The module of `lcsc fetch`, and what opens connections: Python's own modules, usual packages, and those of weights.
CONNECTS = "lcsc/extractors/weights.py"
# It asks timm for a pretrained network with weights that it hands over itself.
HANDED_OVER = "lcsc/extractors/dinov2.py"
NETWORK = {
    *("urllib", "http", "socket", "socketserver", "ssl", "ftplib", "smtplib", "poplib", "imaplib", "xmlrpc"),
    *("requests", "urllib3", "httpx", "aiohttp", "websockets", "paramiko", "boto3", "fsspec", "huggingface_hub"),
}
DOWNLOADS = re.compile(r"(torch\.)?hub\.\w+|(\w+\.)*(from_pretrained|load_state_dict_from_url|download_url\w*|urlopen)")


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(source: str) -> Iterator[tuple[str, dict[str | None, ast.expr]]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield dotted(node.func), {word.arg: word.value for word in node.keywords}


def dangerous(source: str) -> list[str]:
    """Calls of ``source`` that could run what a file says."""
    found = []
    for name, words in calls(source):
        value = words.get("weights_only")
        safe = name == "torch.load" and isinstance(value, ast.Constant) and value.value is True
        shell = words.get("shell")
        if (FORBIDDEN.fullmatch(name) and not safe) or (shell is not None and ast.unparse(shell) != "False"):
            found.append(name)
    return found


@pytest.mark.parametrize(
    "line",
    [
        *("torch.load(f)", "torch.load(f, weights_only=False)", "torch.load(f, weights_only=safe)"),
        *("pickle.load(f)", "eval(text)", "exec(text)", "yaml.load(t, L)", "os.system(t)", "np.load(f)"),
        *("subprocess.run(t)", "run(t, shell=True)", "__import__(name)"),
    ],
)
def test_the_check_sees_every_way(line: str) -> None:
    assert dangerous(line)


def test_the_check_takes_what_is_safe() -> None:
    assert not dangerous("torch.load(f, weights_only=True); model.eval(); json.load(f); re.compile(t)")


def test_nothing_is_run_but_in_the_places_named_above() -> None:
    found = {(name_of(path), call) for path in SOURCES for call in dangerous(path.read_text(encoding="utf-8"))}
    assert found == LOADS | PROGRAMS | {SAFE_YAML}


def test_pickle_is_imported_by_the_modules_named_above_alone() -> None:
    def imports(path: Path) -> bool:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        return any(name.partition(".")[0] in ("pickle", "marshal", "shelve", "dill", "joblib") for name in names)

    assert {name_of(path) for path in SOURCES if imports(path)} == PICKLE


def connections(source: str) -> list[str]:
    """What ``source`` imports or calls that could open a connection."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in ("import_module", "__import__"):
            names += [word.value for word in node.args if isinstance(word, ast.Constant)]
        found += [name for name in names if str(name).partition(".")[0] in NETWORK]
    for name, words in calls(source):
        asks = [key for key in ("download", "pretrained") if key in words and ast.unparse(words[key]) != "False"]
        found += [name] if asks or DOWNLOADS.fullmatch(name) else []
    return found


@pytest.mark.parametrize(
    "line",
    [
        *(
            "import urllib.request",
            "import os, socket",
            "from http.client import HTTPException",
            "import requests as r",
        ),
        *("def f():\n    from urllib import request", "importlib.import_module('socket')", "torch.hub.load(x)"),
        *("Model.from_pretrained(x)", "timm.create_model(x, pretrained=True)", "InceptionV3W(x, download=wanted)"),
    ],
)
def test_the_check_sees_every_connection(line: str) -> None:
    assert connections(line)


def test_no_connection_is_seen_where_there_is_none() -> None:
    assert not connections("import json\nfrom .http import x\ntimm.create_model(x, pretrained=False)")


def test_nothing_but_fetch_opens_a_connection() -> None:
    found = {name_of(path) for path in SOURCES if connections(path.read_text(encoding="utf-8"))}
    assert found == {CONNECTS, HANDED_OVER}
    users = {name_of(path) for path in SOURCES if re.search(r"weights import .*\bfetch\b", path.read_text("utf-8"))}
    assert users == {"lcsc/cli/steps.py"}
    module = ast.parse((REPOSITORY / CONNECTS).read_text("utf-8"))
    using = {node.name: ast.unparse(node) for node in module.body if isinstance(node, ast.FunctionDef)}
    assert [name for name, text in using.items() if "urlopen" in text] == ["_download"]
    assert [name for name, text in using.items() if "_download(" in text] == ["fetch", "_download"]


def test_rules_open_no_connection() -> None:
    for path in RULES:
        imported = re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert not NETWORK.intersection(imported), path


def test_rules_quote_all_text_of_the_configuration() -> None:
    """What stands bare in a command is a number, a device, or of a fixed form."""
    bare = {
        *(
            "{threads}",
            "{resources.device}",
            "{params.number}",
            "{params.first}",
            "{wildcards.generation}",
            "{wildcards.shard}",
        ),
        *("{wildcards.schedule}", "{wildcards.part}"),  # of fixed words, by their rules' constraints
        "{resources.weights}",  # quoted where it is made: common.smk, weights_option
    }
    found: set[str] = set()
    for path in RULES:
        text = path.read_text(encoding="utf-8")
        for command in re.findall(r"shell:\n((?:\s+(?:\"[^\n]*\"|'[^\n]*')\n)+)", text):
            found |= {field for field in re.findall(r"\{[^{}]+\}", command) if not field.endswith(":q}")}
    assert found
    assert found <= bare
