"""YAML files with plain values only, in which no key stands twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lcsc.errors import InputError

# A configuration has hundreds; aliases of aliases make millions out of a few lines.
MOST_VALUES = 100_000
EVALUATED = "__use_yte__"


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice, where YAML's own takes the last, and aliases without end."""

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice in one section", key_node.start_mark
                )
            seen.add(key if isinstance(key, Hashable) else id(key))
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises :class:`InputError` with one line where the file is missing, is no YAML, holds a tag that would run
    code, has a key twice, or is no mapping.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: {_reason(error)}; expected plain YAML, correct that line") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; expected a configuration file") from error
    except RecursionError as error:
        raise InputError(f"{path}: sections within sections without end; expected a configuration") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); expected a YAML file in UTF-8") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise InputError(f"{path}: found {found}, expected a YAML mapping; start from config/config.yaml")
    return content


def read_plain(path: Path | str) -> dict[str, Any]:
    """The same for a configuration that Snakemake reads, too; one that it would evaluate as a program is refused."""
    content = read_yaml(path)
    if EVALUATED in content:
        found = f"{EVALUATED}: found this key, for which Snakemake evaluates the file as a program (YTE)"
        raise InputError(f"{path}: {found}; expected plain values; write what it comes to, without the key")
    return content


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values ``node`` stands for, those below it included and each alias written out."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise yaml.constructor.ConstructorError(None, None, "a value that contains itself", node.start_mark)
        return known[id(node)]
    known[id(node)] = 0
    below: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        below = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    count = 1 + sum(_count(child, known) for child in below)
    if count > MOST_VALUES:
        problem = f"aliases that stand for more than {MOST_VALUES:,} values"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    known[id(node)] = count
    return count


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
