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
# The worker that loads a pickle with the code that the configuration names, and a fixed line of Python that is timed.
PROGRAMS = {
    ("lcsc/checkpoints/edm.py", "subprocess.run"),
    ("lcsc/plan/speeds.py", "subprocess.run"),
}
FORBIDDEN = re.compile(
    r"(pickle|marshal|shelve|dill|joblib)\.(loads?|open)|torch\.load|numpy\.load|np\.load|(builtins\.)?(eval|exec|compile)"
    r"|__import__|os\.(system|popen|exec\w+|spawn\w+)|subprocess\.\w+|yaml\.(unsafe_load|full_load|load_all|load)"
)
SAFE_YAML = ("lcsc/config/yaml_files.py", "yaml.load")  # with a subclass of SafeLoader


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
