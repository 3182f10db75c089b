"""Input schemas: what a tool takes, as the schema and the validator of its arguments.

Arguments are judged as JSON, strictly: `1` is no boolean, a date or a UUID is the string that JSON has for it, and
`5.0` is an integer because JSON Schema says so (core, section 4.2.3). What the schema does not name is refused, so that
a model that misspells an optional argument learns of it. What was refused is read leniently (`lenient_arguments`),
unless the author wants none of that.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import Annotated, Any, Final, Protocol, Self, get_origin

import orjson
from pydantic import AliasChoices, AliasPath, BaseModel, TypeAdapter
from pydantic_core import CoreSchema, SchemaValidator, ValidationError

from gatepost.late_dataclass import dataclass
from gatepost.server.declared.argument_errors import described, invalid_arguments
from gatepost.server.declared.lenient_arguments import read_leniently
from gatepost.server.declared.signature import Signature
from gatepost.server.errors import ArgumentProblem, InvalidArguments, ToolDefinitionError
from gatepost.server.json_schema import describe, same_in_python, validator_of

_DEEPEST_WHOLE_NUMBER: Final = 64
_LARGEST_WHOLE_NUMBER: Final = 2**53  # beyond it a float no longer tells neighbouring integers apart
_MOST_READINGS: Final = 3
"""How many texts that hold texts are read one after the other."""
_LARGEST_THOROUGHLY: Final = 64 * 1024
"""Bytes of the arguments in which every fault is looked for."""


class Input(Protocol):
    """What a tool takes, however it is known."""

    @property
    def schema(self) -> dict[str, Any]:
        """`inputSchema`; always of type object."""

    def validate(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the keywords to call the function with, a new dictionary every time, or raise InvalidArguments."""

    def named(self, tool: str) -> Self:
        """Return it for a tool of another name, which messages say."""


@dataclass(frozen=True, slots=True)
class InputType:
    """What the parameters of a function, or a model, say that a tool takes."""

    tool: str
    """The tool's name, for messages."""
    schema: dict[str, Any]
    """`inputSchema`; always of type object."""
    validator: SchemaValidator
    same_in_python: bool
    """Whether strict validation decides alike about Python values and about JSON text."""
    thorough: SchemaValidator
    """Finds all that is wrong with a collection, where `validator` stops at its first bad item."""
    strict: bool
    """Whether nothing is read leniently."""
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

    def named(self, tool: str) -> InputType:
        """See `Input`."""
        return replace(self, tool=tool)

    def validate(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """See `Input`."""
        if self.is_direct:
            try:
                direct: dict[str, Any] = self.validator.validate_python(arguments, strict=True)
            except ValidationError:
                pass  # What is wrong, if anything, is found out below.
            else:
                return direct
        value, failure = self._accept(arguments)
        unknown = self._unknown_in(arguments)
        if not self.strict and (failure is not None or unknown):
            value, failure, arguments = self._accept_leniently(arguments, failure)
            unknown = self._unknown_in(arguments)
        if failure is not None or unknown:
            # Outside of any `except`: a traceback of this error must not lead to one that shows the values.
            raise invalid_arguments(self.tool, failure, arguments, unknown=sorted(unknown), schema=self.schema)
        if self.whole is None:
            keywords: dict[str, Any] = value
            return keywords
        return {self.whole: value} if self.whole else {}

    def _unknown_in(self, arguments: Mapping[str, Any]) -> frozenset[str]:
        return frozenset() if self.names is None else frozenset(arguments.keys() - self.names)

    def _accept(self, arguments: dict[str, Any]) -> tuple[Any, ValidationError | None]:
        """Validate strictly, with `5` for `5.0` where an integer is wanted; JSON Schema is wider there than that is."""
        value, failure = self._validated(self.validator, arguments)
        if failure is not None and any(
            error["type"] == "int_type" and type(error["input"]) is float for error in described(failure)
        ):
            return self._validated(self.validator, _whole_numbers(arguments, _DEEPEST_WHOLE_NUMBER))
        return value, failure

    def _accept_leniently(
        self, arguments: dict[str, Any], failure: ValidationError | None
    ) -> tuple[Any, ValidationError | None, dict[str, Any]]:
        """Do what `_accept` does with arguments read leniently, and return what was read, too."""
        value: Any = None
        for _ in range(_MOST_READINGS):
            found = failure
            if failure is not None and len(self._written(arguments)) <= _LARGEST_THOROUGHLY:
                _, found = self._validated(self.thorough, arguments)
            errors = () if found is None else described(found)
            read = read_leniently(arguments, errors, self._unknown_in(arguments), self.schema)
            if read is None:
                break
            arguments = read
            value, failure = self._accept(arguments)
        return value, failure, arguments

    def _validated(self, validator: SchemaValidator, arguments: Any) -> tuple[Any, ValidationError | None]:
        try:
            if self.same_in_python:
                return validator.validate_python(arguments, strict=True), None
            return validator.validate_json(self._written(arguments), strict=True), None
        except ValidationError as error:
            return None, error

    def _written(self, arguments: Any) -> bytes:
        try:
            return orjson.dumps(arguments)
        except TypeError:
            problem = ArgumentProblem("", "nested too deeply, or with a number or text that JSON cannot carry")
            raise InvalidArguments(self.tool, [problem]) from None


def input_type(
    tool: str, signature: Signature, model: type[BaseModel | None] | None, *, strict: bool = False
) -> InputType:
    """Derive what the tool of this name takes; if `strict`, nothing of it is read leniently.

    If the function's one parameter is a Pydantic model, its fields are the arguments; so are those of `model`, which is
    declared beside the function. Raises ToolDefinitionError if something has no JSON Schema, or `model` does not fit.
    """
    names: frozenset[str] | None = None
    whole: str | None = None
    if model is not None:
        taken = no_inputs() if model is types.NoneType else model
        whole = parameter_for(taken, signature, option="inputs")
        adapter, schema, names = _from_model(taken, signature)
    elif (only := the_only_parameter(signature)) is not None and _is_model(bare(only.annotation)):
        whole = only.name
        adapter, schema, names = _from_model(only.annotation, signature)
    else:
        adapter, schema = describe_parameters(signature)
    signature.place_descriptions(schema)
    core_schema = adapter.core_schema
    validator = keywords_validator(core_schema) if whole is None else validator_of(core_schema)
    thorough = SchemaValidator(core_schema)
    return InputType(tool, schema, validator, same_in_python(core_schema), thorough, strict, names, whole)


def the_only_parameter(signature: Signature) -> inspect.Parameter | None:
    """Return the parameter of a function that has one, without a default."""
    only = signature.parameters[0] if len(signature.parameters) == 1 else None
    return only if only is not None and only.default is inspect.Parameter.empty else None


def bare(annotation: Any) -> Any:
    """Return an annotation without its `Annotated`."""
    return annotation.__origin__ if get_origin(annotation) is Annotated else annotation


def no_inputs() -> type[BaseModel]:
    """Return the model that `type(None)` stands for."""
    from gatepost.server.calls.models import NoArguments  # noqa: PLC0415 - see there

    return NoArguments


def parameter_for(model: type[BaseModel | None], signature: Signature, *, option: str) -> str:
    """Return the parameter that gets an instance of `model`, empty for none; the option of this name gives the model.

    Raises ToolDefinitionError: it is no model, or the function takes something else.
    """
    if not _is_model(model):
        raise ToolDefinitionError(f"{signature.function}: {option} takes a Pydantic model, not {model!r}")
    if not signature.parameters:
        return ""
    label, given = signature.function, model.__name__
    if len(signature.parameters) > 1:
        names = ", ".join(parameter.name for parameter in signature.parameters)
        raise ToolDefinitionError(f"{label}: with {option}={given} it gets one {given}, but it takes {names}")
    (only,) = signature.parameters
    taken = bare(only.annotation)
    if not (_is_model(taken) and issubclass(model, taken)):
        raise ToolDefinitionError(f"{label}: parameter {only.name!r} gets a {given}, as {option} says; annotate it so")
    return only.name


def _from_model(
    annotation: Any, signature: Signature
) -> tuple[TypeAdapter[Any], dict[str, Any], frozenset[str] | None]:
    model = bare(annotation)
    adapter, schema = describe(annotation, "validation", signature.function, f"the model {model.__name__}")
    if schema.get("type") != "object":
        raise ToolDefinitionError(
            f"{signature.function}: {model.__name__} is not a JSON object, and the arguments of a tool are one"
        )
    names = None
    if not model.__pydantic_root_model__ and "extra" not in model.model_config:
        # The model leaves open what happens to other fields; as arguments they are mistakes.
        names = frozenset(_accepted_names(model))
        schema["additionalProperties"] = False
    return adapter, schema, names


def describe_parameters(signature: Signature) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """Do for the parameters of a function what `describe` does, with an error that names the one that has no schema."""
    try:
        adapter, schema = describe(stand_in(signature.parameters), "validation", signature.function, "its parameters")
    except ToolDefinitionError:
        for parameter in signature.parameters:
            what, shown = f"parameter {parameter.name!r}", bare(parameter.annotation)
            describe(stand_in([parameter]), "validation", signature.function, what, shown=shown)
        raise
    if len(schema["properties"]) != len(signature.parameters):
        raise ToolDefinitionError(f"{signature.function}: two of its parameters have the same name, given by an alias")
    return adapter, schema


def keywords_validator(core_schema: CoreSchema) -> SchemaValidator:
    """Return the validator of a function's arguments that gives them as keywords."""
    return validator_of(_called_with(dict, core_schema))


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
