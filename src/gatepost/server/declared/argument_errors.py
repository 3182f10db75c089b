"""Errors of arguments: what is wrong with them, in words that name the field and never repeat a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails, ValidationError

from gatepost.server.errors import ArgumentProblem, InvalidArguments

_MOST_ERRORS = 100
"""Beyond this many, errors are counted and not described: each description costs microseconds and memory."""
_MOST_NAMES_IN_HINT = 30
_SHORTEST_VALUE_LOOKED_FOR = 3  # characters; shorter ones are in every sentence

_MISSING: Final = frozenset({"missing", "missing_argument", "missing_keyword_only_argument"})
_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

_OWN_WORDS: Final[Mapping[str, str]] = {
    # Pydantic's own messages for these repeat a part of the value.
    "union_tag_invalid": "{discriminator} should be one of {expected_tags}",
    "uuid_parsing": "should be a valid UUID",
    "url_parsing": "should be a valid URL",
    "url_syntax_violation": "should be a valid URL",
    # And these speak of Python where a client knows JSON.
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "should be an array"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "dataclass_type"), "should be an object"),
}
_AUTHORS_WORDS: Final = frozenset({"value_error", "assertion_error"})
"""Raised by code in a validator, with whatever text that code chose."""
_CHOICES: Final = frozenset({"literal_error", "enum"})

_CAME: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a floating-point number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def invalid_arguments(
    tool: str,
    failure: ValidationError | None,
    arguments: Mapping[str, Any],
    *,
    unknown: Iterable[str] = (),
    schema: Mapping[str, Any],
    are_texts: bool = False,
) -> InvalidArguments:
    """Return the error to raise.

    Args:
        tool: The tool's name.
        failure: What validation found, if it found anything.
        arguments: What the client sent; read to tell a field from the label of a union's branch.
        unknown: Names that the tool does not take, where validation itself lets them pass.
        schema: The tool's input schema, for the hint.
        are_texts: Whether every argument arrived as a text, as those of prompts do.
    """
    problems: dict[str, list[str]] = {}
    came: dict[str, str] = {}
    asks_for_names = False
    for name in unknown:
        problems[harmless_name(name)] = ["is not an argument here"]
        asks_for_names = True
    if failure is not None and failure.error_count() > _MOST_ERRORS:
        problems[""] = [f"{failure.error_count()} values do not fit"]
    elif failure is not None:
        for error in described(failure):
            location = _location(error, arguments)
            messages = problems.setdefault(location, [])
            message = _message_of(error)
            if message not in messages:
                messages.append(message)
            if error["type"].endswith("_type") or (error["type"] in _CHOICES and error["input"] is None):
                came[location] = ", as JSON" if are_texts else f", not {_CAME.get(type(error['input']), 'this')}"
            asks_for_names |= len(error["loc"]) == 1 and error["type"] in _MISSING | _UNKNOWN
    # Several messages at one place are the branches of a union, any of which would do.
    found = [
        ArgumentProblem(location, " or ".join(messages) + came.get(location, ""))
        for location, messages in problems.items()
    ]
    return InvalidArguments(tool, found, hint=hint_of(schema) if asks_for_names else "")


def described(failure: ValidationError) -> list[ErrorDetails]:
    """Return what validation found; nothing when there is too much of it."""
    return [] if failure.error_count() > _MOST_ERRORS else failure.errors(include_url=False)


def _message_of(error: ErrorDetails) -> str:
    """Return what is taken where `error` was found, without the value."""
    kind = error["type"]
    if kind in _MISSING:
        return "is required"
    if kind in _UNKNOWN:
        return "is not an argument here" if len(error["loc"]) == 1 else "is not a known field"
    if kind in _OWN_WORDS:
        return _OWN_WORDS[kind].format_map(error.get("ctx", {}))
    message = error["msg"]
    if kind in _AUTHORS_WORDS:
        message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if not message or any(text in message for text in _texts(error["input"])):
            return "is not accepted"
    return message.removeprefix("Input ")


def _texts(value: Any) -> Iterator[str]:
    """Yield every text and number inside `value` that is long enough to be recognised. A loop, for any depth."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value
        elif len(text := str(value)) >= _SHORTEST_VALUE_LOOKED_FOR and value is not None:
            yield text


def _location(error: ErrorDetails, arguments: Mapping[str, Any]) -> str:
    """Return the path to the field, such as `items[0].name`.

    Pydantic's path also holds labels of a union's branches (`int`, `list[str]`), which mean nothing to a client: a step
    that is not in the value is such a label, unless it names the field that is missing.
    """
    path = ""
    value: Any = arguments
    for position, step in enumerate(error["loc"], start=1):
        if isinstance(value, list) and isinstance(step, int) and step < len(value):
            path += f"[{step}]"
            value = value[step]
        elif isinstance(value, dict) and step in value:
            path += f".{harmless_name(step)}"
            value = value[step]
        elif position == len(error["loc"]) and error["type"] in _MISSING:
            path += f".{harmless_name(step)}"
    return path.removeprefix(".")


def harmless_name(name: object) -> str:
    """Return a name that the client may have made up, if it is harmless to print."""
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else "…"


def hint_of(schema: Mapping[str, Any]) -> str:
    """Return a sentence that says what a tool with this input schema takes."""
    required = set(schema.get("required", ()))
    names = [f"{name} (required)" if name in required else name for name in schema.get("properties", {})]
    if not names:
        return "It takes no arguments."
    if len(names) > _MOST_NAMES_IN_HINT:
        names[_MOST_NAMES_IN_HINT:] = ["…"]
    return f"It takes: {', '.join(names)}."
