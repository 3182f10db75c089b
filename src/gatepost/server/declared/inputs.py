"""Input schemas: what a tool takes, as the schema and the validator of its arguments.

Arguments are judged as JSON, strictly: `"5"` is no integer and `1` no boolean, while a date or a UUID is the string
that JSON has for it, and `5.0` is an integer because JSON Schema says so (core, section 4.2.3). What the schema does
not name is refused, so that a model that misspells an optional argument learns of it. Errors name the field and never
repeat the value.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic_core import ErrorDetails, SchemaValidator, ValidationError

from gatepost.server.declared.signature import Signature
from gatepost.server.errors import ArgumentProblem, InvalidArguments, ToolDefinitionError
from gatepost.server.json_schema import describe, same_in_python, validator_of

_DEEPEST_WHOLE_NUMBER: Final = 64
_LARGEST_WHOLE_NUMBER: Final = 2**53  # beyond it a float no longer tells neighbouring integers apart


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
    **dict.fromkeys(("dict_type", "model_type", "dataclass_type"), "should be an object"),
}
_AUTHORS_WORDS: Final = frozenset({"value_error", "assertion_error"})
"""Raised by code in a validator, with whatever text that code chose."""


@dataclass(frozen=True, slots=True)
class InputType:
    """What a tool takes."""

    tool: str
    """The tool's name, for messages."""
    schema: dict[str, Any]
    """`inputSchema`; always of type object."""
    validator: SchemaValidator
    same_in_python: bool
    """Whether strict validation decides alike about Python values and about JSON text."""
    names: frozenset[str] | None
    """Names that are taken, where the validator itself lets others pass."""
    whole: str | None
    """The parameter that takes the validated model; empty when the function takes nothing; None when the fields are
    the function's own parameters."""
    is_direct: bool = field(init=False)
    """Whether what the validator gives is what the function is called with, and it takes Python values."""

    def __post_init__(self) -> None:
        """See at once what no call changes."""
        is_direct = self.same_in_python and self.names is None and self.whole is None
        object.__setattr__(self, "is_direct", is_direct)

    def validate(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the keywords to call the function with, a new dictionary every time, or raise InvalidArguments."""
        if self.is_direct:
            try:
                direct: dict[str, Any] = self.validator.validate_python(arguments, strict=True)
            except ValidationError:
                pass  # What is wrong, if anything, is found out below.
            else:
                return direct
        unknown = () if self.names is None else arguments.keys() - self.names
        failure: ValidationError | None = None
        try:
            value = self._accept(arguments)
        except ValidationError as error:
            value, failure = self._accept_whole_numbers(arguments, error)
        if failure is not None or unknown:
            # Outside of the `except`: a traceback of this error must not lead to one that shows the values.
            raise invalid_arguments(self.tool, failure, arguments, unknown=unknown, schema=self.schema)
        if self.whole is None:
            keywords: dict[str, Any] = value
            return keywords
        return {self.whole: value} if self.whole else {}

    def _accept(self, arguments: Any) -> Any:
        if self.same_in_python:
            return self.validator.validate_python(arguments, strict=True)
        try:
            text = orjson.dumps(arguments)
        except TypeError:
            problem = ArgumentProblem("", "nested too deeply, or with a number or text that JSON cannot carry")
            raise InvalidArguments(self.tool, [problem]) from None
        return self.validator.validate_json(text, strict=True)

    def _accept_whole_numbers(
        self, arguments: dict[str, Any], failure: ValidationError
    ) -> tuple[Any, ValidationError | None]:
        """Try again with `5` for `5.0` if that is what failed; strict validation is narrower there than JSON Schema."""
        if not any(error["type"] == "int_type" and type(error["input"]) is float for error in described(failure)):
            return None, failure
        try:
            return self._accept(_whole_numbers(arguments, _DEEPEST_WHOLE_NUMBER)), None
        except ValidationError as error:
            return None, error


def input_type(tool: str, signature: Signature, model: type[BaseModel] | None) -> InputType:
    """Derive what the tool of this name takes.

    If the function's one parameter is a Pydantic model, its fields are the arguments; so are those of `model`, which is
    declared beside the function. Raises ToolDefinitionError if something has no JSON Schema, or `model` does not fit.
    """
    if model is not None:
        return _from_model(tool, signature, model, whole=_parameter_for(model, signature))
    if len(signature.parameters) == 1:
        (only,) = signature.parameters
        if _is_model(only.annotation) and only.default is inspect.Parameter.empty:
            return _from_model(tool, signature, only.annotation, whole=only.name)
    return _from_parameters(tool, signature)


def _parameter_for(model: type[BaseModel], signature: Signature) -> str:
    if not _is_model(model):
        raise ToolDefinitionError(f"{signature.function}: inputs takes a Pydantic model, not {model!r}")
    if not signature.parameters:
        return ""
    label, given = signature.function, model.__name__
    if len(signature.parameters) > 1:
        names = ", ".join(parameter.name for parameter in signature.parameters)
        raise ToolDefinitionError(f"{label}: with inputs={given} it gets one {given}, but it takes {names}")
    (only,) = signature.parameters
    if not (_is_model(only.annotation) and issubclass(model, only.annotation)):
        raise ToolDefinitionError(f"{label}: parameter {only.name!r} gets a {given}, as inputs says; annotate it so")
    return only.name


def _from_model(tool: str, signature: Signature, model: type[BaseModel], *, whole: str) -> InputType:
    adapter, schema = describe(model, "validation", signature.function, f"the model {model.__name__}")
    if schema.get("type") != "object":
        raise ToolDefinitionError(
            f"{signature.function}: {model.__name__} is not a JSON object, and the arguments of a tool are one"
        )
    names = None
    if not model.__pydantic_root_model__ and "extra" not in model.model_config:
        # The model leaves open what happens to other fields; as arguments they are mistakes.
        names = frozenset(_accepted_names(model))
        schema["additionalProperties"] = False
    return InputType(tool, schema, validator_of(adapter.core_schema), same_in_python(adapter.core_schema), names, whole)


def _from_parameters(tool: str, signature: Signature) -> InputType:
    parameters_only = stand_in(signature.parameters)
    try:
        adapter, schema = describe(parameters_only, "validation", signature.function, "its parameters")
    except ToolDefinitionError:
        for parameter in signature.parameters:
            what = f"parameter {parameter.name!r}"
            describe(stand_in([parameter]), "validation", signature.function, what, shown=parameter.annotation)
        raise
    if len(schema["properties"]) != len(signature.parameters):
        raise ToolDefinitionError(f"{signature.function}: two of its parameters have the same name, given by an alias")
    validator = validator_of(_called_with(dict, adapter.core_schema))
    return InputType(tool, schema, validator, same_in_python(adapter.core_schema), names=None, whole=None)


def _called_with(function: Callable[..., Any], core_schema: Any) -> Any:
    """Return the core schema of a function, calling another one with the arguments."""
    if core_schema["type"] == "definitions":
        return {**core_schema, "schema": _called_with(function, core_schema["schema"])}
    # A builtin takes its keywords without a frame of Python, and this is done for each call of a tool.
    return {**core_schema, "function": function}


def stand_in(parameters: Iterable[inspect.Parameter]) -> Callable[..., dict[str, Any]]:
    """Return a function with these parameters for Pydantic to look at; called, it returns its keywords.

    Pydantic then treats aliases, `Field(default=…)` and default factories as it does for functions, names that a model
    could not have as fields (`schema`, `_x`) are fine, and what a client sends never reaches the user's function by
    position.
    """

    def returned(**keywords: Any) -> dict[str, Any]:
        return keywords

    by_keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    returned.__signature__ = inspect.Signature(by_keyword)  # type: ignore[attr-defined] # as PEP 362 has it
    returned.__annotations__ = {parameter.name: parameter.annotation for parameter in by_keyword}
    return returned


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _accepted_names(model: type[BaseModel]) -> Iterable[str]:
    by_name = model.model_config.get("validate_by_name") or model.model_config.get("populate_by_name")
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        if alias is None or by_name:
            yield name
        for choice in alias.choices if isinstance(alias, AliasChoices) else [alias]:
            if isinstance(choice, AliasPath):
                yield str(choice.path[0])
            elif choice is not None:
                yield choice


def _whole_numbers(value: Any, depth: int) -> Any:
    if type(value) is float and value.is_integer() and abs(value) <= _LARGEST_WHOLE_NUMBER:
        return int(value)
    if depth and isinstance(value, dict):
        return {name: _whole_numbers(inner, depth - 1) for name, inner in value.items()}
    if depth and isinstance(value, list):
        return [_whole_numbers(inner, depth - 1) for inner in value]
    return value


def invalid_arguments(
    tool: str,
    failure: ValidationError | None,
    arguments: Mapping[str, Any],
    *,
    unknown: Iterable[str] = (),
    schema: Mapping[str, Any],
) -> InvalidArguments:
    """Return the error to raise.

    Args:
        tool: The tool's name.
        failure: What validation found, if it found anything.
        arguments: What the client sent; read to tell a field from the label of a union's branch.
        unknown: Names that the tool does not take, where validation itself lets them pass.
        schema: The tool's input schema, for the hint.
    """
    problems: dict[str, list[str]] = {}
    asks_for_names = False
    for name in unknown:
        problems[plain_name(name)] = ["is not an argument of this tool"]
        asks_for_names = True
    if failure is not None and failure.error_count() > _MOST_ERRORS:
        problems[""] = [f"{failure.error_count()} values do not fit"]
    elif failure is not None:
        for error in described(failure):
            messages = problems.setdefault(_location(error, arguments), [])
            message = message_of(error)
            if message not in messages:
                messages.append(message)
            asks_for_names |= len(error["loc"]) == 1 and error["type"] in _MISSING | _UNKNOWN
    # Several messages at one place are the branches of a union, any of which would do.
    found = [ArgumentProblem(location, " or ".join(messages)) for location, messages in problems.items()]
    return InvalidArguments(tool, found, hint=_hint(schema) if asks_for_names else "")


def described(failure: ValidationError) -> list[ErrorDetails]:
    """Return what validation found; nothing when there is too much of it."""
    return [] if failure.error_count() > _MOST_ERRORS else failure.errors(include_url=False)


def message_of(error: ErrorDetails) -> str:
    """Return what is taken where `error` was found, without the value."""
    kind = error["type"]
    if kind in _MISSING:
        return "is required"
    if kind in _UNKNOWN:
        return "is not an argument of this tool" if len(error["loc"]) == 1 else "is not a known field"
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
            path += f".{plain_name(step)}"
            value = value[step]
        elif position == len(error["loc"]) and error["type"] in _MISSING:
            path += f".{plain_name(step)}"
    return path.removeprefix(".")


def plain_name(name: object) -> str:
    """Return a name that the client may have made up, if it is harmless to print."""
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else "…"


def _hint(schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    names = [f"{name} (required)" if name in required else name for name in schema.get("properties", {})]
    if not names:
        return "It takes no arguments."
    if len(names) > _MOST_NAMES_IN_HINT:
        names[_MOST_NAMES_IN_HINT:] = ["…"]
    return f"It takes: {', '.join(names)}."
