"""What is wrong with a configuration by its schema, in one line."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from lcsc.config.schema import dereference, read_schema
from lcsc.config.words import expected_in_words, found_in_words
from lcsc.errors import InputError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Place = tuple[str | int, ...]
DESCRIBED = "(config/README.md describes every key)"


class Problem(NamedTuple):
    """Something wrong at ``place``: what was found, what was expected, and the way out."""

    place: Place
    found: str
    expected: str
    way_out: str = f"correct it {DESCRIBED}"


def refuse(problem: Problem, source: str) -> NoReturn:
    """Raise the :class:`InputError` that says what is wrong in the file ``source``."""
    where = f"{source}: {key_path(problem.place)}" if problem.place else source
    raise InputError(f"{where}: found {problem.found}, expected {problem.expected}; {problem.way_out}")


def key_path(place: Sequence[str | int]) -> str:
    """``runs.digits.sampler.sigmas[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def keys_that_are_no_text(value: Any, place: Place = ()) -> Problem | None:
    """The first key that YAML reads as a number, a date or a truth value."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        if isinstance(value, Mapping) and not isinstance(key, str):
            found = f"a key that YAML reads as {type(key).__name__}"
            return Problem((*place, str(key)), found, "text", "put it in quotes")
        if problem := keys_that_are_no_text(item, (*place, key)):
            return problem
    return None


def schema_problem(config: Mapping[str, Any], *, complete: bool) -> Problem | None:
    """The first thing that the schema refuses; missing keys count only where ``complete``."""
    found = _validator(complete).iter_errors(config)
    errors = [error for error in found if complete or error.validator != "required"]
    # Unknown keys first: what else is wrong, a missing key say, is most often their consequence.
    errors.sort(
        key=lambda error: (
            error.validator != "additionalProperties",
            [str(part) for part in error.absolute_path],
        )
    )
    return _in_words(errors[0]) if errors else None


def unknown_setting(settings: Mapping[str, Any], node: Mapping[str, Any]) -> Problem | None:
    """The first key of ``settings``, at any depth, that ``node`` of the schema does not know; all else may be wrong."""
    errors = _validator(complete=True).descend(settings, node)
    found = next((error for error in errors if error.validator == "additionalProperties"), None)
    return _in_words(found) if found else None


def _validator(complete: bool) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    def is_integer(_: Any, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def is_number(checker: Any, value: Any) -> bool:
        return is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))

    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer).redefine("number", is_number)
    keywords = {"x-kinds": _complete_kinds if complete else _partial_kinds, "pattern": _pattern}
    return extend(Draft202012Validator, keywords, type_checker=checker)(read_schema())


def _pattern(validator: Any, pattern: str, instance: Any, node: Mapping[str, Any]) -> Iterable[Any]:
    """The schema's own ``pattern``, whose last ``$`` is the end of the text: Python's is also before a last newline."""
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _complete_kinds(validator: Any, kinds: Mapping[str, Any], instance: Any, node: Mapping[str, Any]) -> Iterable[Any]:
    """The errors of a section whose schema depends on the key that ``x-by`` names; by default the first kind's."""
    named = instance.get(node["x-by"], next(iter(kinds))) if isinstance(instance, Mapping) else next(iter(kinds))
    if isinstance(named, str) and named in kinds:
        yield from validator.descend(instance, kinds[named])
    else:
        yield from validator.descend(instance, {"properties": {node["x-by"]: {"enum": list(kinds)}}})


def _partial_kinds(validator: Any, kinds: Mapping[str, Any], instance: Any, node: Mapping[str, Any]) -> Iterable[Any]:
    """The same for a section that may be laid over another and need not name its kind: judged when it is whole."""
    if isinstance(instance, Mapping) and node["x-by"] not in instance:
        return []
    return _complete_kinds(validator, kinds, instance, node)


def _in_words(error: ValidationError) -> Problem:
    place: Place = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        return _unknown_key(error, place)
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        node = error.schema.get("properties", {}).get(missing, {})
        expected = expected_in_words(node, read_schema())
        return Problem((*place, missing), "nothing", expected, f"add this key {DESCRIBED}")
    if "propertyNames" in error.absolute_schema_path:
        expected = error.schema.get("x-words", f"a name that matches {error.validator_value}")
        return Problem(place, f"the name {error.instance!r}", expected, error.schema.get("x-way-out", "rename it"))
    if error.validator == "minProperties":
        return Problem(place, "an empty section", "at least one entry", "add one, as in config/config.yaml")
    expected = expected_in_words(error.schema, read_schema())
    return Problem(place, found_in_words(error.instance), expected, *_way_out(error))


def _unknown_key(error: ValidationError, place: Place) -> Problem:
    known = sorted(error.schema.get("properties", {}))
    unknown = next(key for key in error.instance if key not in known)
    owners = [kind for kind, keys in _keys_by_kind(place).items() if unknown in keys]
    if owners:
        expected, way_out = f"one of {', '.join(known)}", f"remove it {DESCRIBED}"
        return Problem((*place, unknown), f"a key of {', '.join(owners)}", expected, way_out)
    return unknown_key((*place, unknown), known)


def unknown_key(place: Place, known: Sequence[str]) -> Problem:
    """That the last of ``place`` is none of the ``known`` keys, with the nearest of them."""
    nearest = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.0)[0]
    way_out = f"the nearest known key is '{nearest}' {DESCRIBED}"
    return Problem(place, "an unknown key", f"one of {', '.join(known)}", way_out)


def _keys_by_kind(place: Place) -> dict[str, list[str]]:
    """The keys of each kind where ``place`` is a search or an extractor; empty elsewhere."""
    schema = read_schema()
    sections = {
        "searches": schema["$defs"]["run"]["properties"]["searches"],
        "extractors": schema["properties"]["extractors"],
    }
    if len(place) < 2 or place[-2] not in sections:
        return {}
    kinds = sections[place[-2]]["additionalProperties"]["x-kinds"]
    return {kind: list(dereference(node, schema)["properties"]) for kind, node in kinds.items()}


def _way_out(error: ValidationError) -> list[str]:
    """YAML 1.1 reads 1e-3 as text, and --config reads every nested number so: say how to write it."""
    if error.validator == "pattern" and "x-way-out" in error.schema:
        return [error.schema["x-way-out"]]
    if error.validator != "type" or not isinstance(error.instance, str):
        return []
    for number in (int, float):
        try:
            value = number(error.instance)
        except ValueError:
            continue
        return [f"write {value!r} in the file, without quotes"] if math.isfinite(value) else []
    return []
