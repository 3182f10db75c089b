"""The arguments of a tool for an operation: their schema, and whether they fit it.

They are judged by JSON Schema, and after that by what a URL and a header can carry. What was refused is read leniently
as elsewhere (record 0044): a number that was sent as a text, `null` for nothing.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final, Self

import jsonschema_rs

from gatepost.late_dataclass import dataclass
from gatepost.openapi.effort import is_deeper
from gatepost.openapi.patterns import LINEAR
from gatepost.server.declared.argument_errors import harmless_name, hint_of
from gatepost.server.declared.lenient_arguments import from_json_text, json_type
from gatepost.server.errors import ArgumentProblem, InvalidArguments

_MOST_ERRORS: Final = 100
_MOST_READINGS: Final = 3
_LONGEST_MESSAGE: Final = 300
_MASK: Final = "this"
"""What stands for values in messages, which may be secret."""

Check = Callable[[Mapping[str, Any]], Iterator[ArgumentProblem]]
"""Yields what speaks against arguments that fit their schema."""


@dataclass(slots=True, eq=False)
class OperationInput:
    """What a tool for an operation takes."""

    tool: str
    schema: dict[str, Any]
    check: Check
    deepest: int
    """Levels that the arguments may have (`effort`)."""
    is_strict: bool = False
    _validator: jsonschema_rs.Validator | None = field(default=None, init=False)

    def named(self, tool: str) -> Self:
        """Return it for a tool of another name."""
        return replace(self, tool=tool)

    def validate(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the keywords to call the function with, or raise InvalidArguments."""
        if is_deeper(arguments, self.deepest):
            problem = ArgumentProblem("", f"nested deeper than {self.deepest} levels")
            raise InvalidArguments(self.tool, [problem])
        errors = self._errors(arguments)
        for _ in range(0 if self.is_strict else _MOST_READINGS):
            read = _read_leniently(arguments, errors, self.schema) if errors else None
            if read is None:
                break
            if is_deeper(read, self.deepest):
                break
            arguments, errors = read, self._errors(read)
        if errors:
            raise self._refused(errors)
        if problems := list(self.check(arguments)):
            raise InvalidArguments(self.tool, problems)
        return {"arguments": arguments}

    def _errors(self, arguments: Mapping[str, Any]) -> list[jsonschema_rs.ValidationError]:
        if self._validator is None:
            self._validator = jsonschema_rs.Draft202012Validator(
                self.schema, offline=True, pattern_options=LINEAR, mask=_MASK
            )
        try:
            return list(itertools.islice(self._validator.iter_errors(arguments), _MOST_ERRORS))
        except ValueError:
            problem = ArgumentProblem("", "with a number or text that JSON cannot carry")
        raise InvalidArguments(self.tool, [problem])

    def _refused(self, errors: Sequence[jsonschema_rs.ValidationError]) -> InvalidArguments:
        problems = list(dict.fromkeys(problem for error in errors for problem in _problems(error)))
        asks_for_names = any(not error.instance_path and isinstance(error.kind, _NAMES) for error in errors)
        return InvalidArguments(self.tool, problems, hint=hint_of(self.schema) if asks_for_names else "")


_Kind = jsonschema_rs.ValidationErrorKind
_NAMES: Final = (_Kind.AdditionalProperties, _Kind.Required)


def _problems(error: jsonschema_rs.ValidationError) -> Iterator[ArgumentProblem]:
    """Yield what is wrong, in words that name the place and what is taken there."""
    place, kind = _location(error.instance_path), error.kind
    if isinstance(kind, _Kind.Required):
        yield ArgumentProblem(_within(place, kind.property), "is required")
    elif isinstance(kind, (_Kind.AdditionalProperties, _Kind.UnevaluatedProperties)):
        for name in kind.unexpected:
            what = "is not a known field" if place else "is not an argument here"
            yield ArgumentProblem(_within(place, name), what)
    elif types := _types_wanted(error):
        yield ArgumentProblem(place, f"should be of type {' or '.join(types)}, not {json_type(error.instance)}")
    elif isinstance(kind, (_Kind.AnyOf, _Kind.OneOfNotValid)):
        yield ArgumentProblem(place, "fits none of the forms that the schema has for it")
    elif isinstance(kind, _Kind.OneOfMultipleValid):
        yield ArgumentProblem(place, "fits several of the forms of which the schema wants exactly one")
    else:
        yield ArgumentProblem(place, _shortened(error.message))


def _types_wanted(error: jsonschema_rs.ValidationError) -> tuple[str, ...]:
    """Return the JSON types of which a value should be, if that is all that is wrong with it; perhaps in a union."""
    kind = error.kind
    if isinstance(kind, _Kind.Type):
        return tuple(kind.types)
    if not isinstance(kind, (_Kind.AnyOf, _Kind.OneOfNotValid)):
        return ()
    types: dict[str, None] = {}
    for branch in kind.context:
        wanted = [one.kind.types for one in branch if isinstance(one.kind, _Kind.Type) and _is_at(one, error)]
        if not wanted:
            return ()
        types |= dict.fromkeys(wanted[0])
    return tuple(types)


def _is_at(one: jsonschema_rs.ValidationError, other: jsonschema_rs.ValidationError) -> bool:
    return one.instance_path == other.instance_path


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 1]}…"


def _within(place: str, name: str) -> str:
    return f"{place}.{harmless_name(name)}" if place else harmless_name(name)


def _location(path: Sequence[str | int]) -> str:
    place = ""
    for step in path:
        place += f"[{step}]" if isinstance(step, int) else f".{harmless_name(step)}"
    return place.removeprefix(".")


def _read_leniently(
    arguments: Mapping[str, Any], errors: Sequence[jsonschema_rs.ValidationError], schema: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the arguments with what was refused for its type read otherwise; None if nothing of it can be."""
    read: dict[str, Any] = copy.deepcopy(dict(arguments))
    is_changed = False
    for error in errors:
        types = _types_wanted(error)
        if not types or not error.instance_path:
            continue
        *above, last = error.instance_path
        holder: Any = read
        for step in above:
            holder = holder[step]
        value = holder[last]
        if value is None and not above and last not in schema.get("required", ()):
            del holder[last]
        elif isinstance(value, str) and (new := from_json_text(value)) is not value:
            kinds = {json_type(new)} | ({"number"} if type(new) is int else set())
            if kinds.isdisjoint(types):
                continue
            holder[last] = new
        else:
            continue
        is_changed = True
    return read if is_changed else None
