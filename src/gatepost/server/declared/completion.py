"""Text arguments, those of prompts and the values in the URI of a resource, and their completion.

A parameter that takes text gets it as it is. Other types are read from it: numbers, booleans, dates and enums as people
write them, lists and objects as JSON. Completion is what fits an argument that somebody is typing (MCP
server/utilities/completion).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from itertools import islice
from types import NoneType
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ValidationError
from typing_extensions import is_typeddict

from gatepost.late_dataclass import dataclass
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.argument_errors import described, invalid_arguments
from gatepost.server.declared.declaration import Declaration, MakeContext, Options, invoke
from gatepost.server.declared.inputs import (
    bare,
    describe_parameters,
    keywords_validator,
    no_inputs,
    parameter_for,
    the_only_parameter,
)
from gatepost.server.declared.lenient_arguments import from_json_text, json_type
from gatepost.server.declared.signature import Signature, read_signature
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.json_schema import describe, validator_of

MOST_VALUES: Final = 100
"""How many values an answer has at most, by the specification."""
_MOST_PARAMETERS: Final = 2
_MOST_CANDIDATES: Final = 100
_STRUCTURES: Final = frozenset({"array", "object"})

Values = Iterable[str]
Completer = Values | Callable[..., Any]
"""Texts to choose from; or a function of the text so far, and maybe of the other arguments, that returns them."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a completing function returns if it knows more than it returns."""

    values: Values
    total: int | None = None
    """How many there are in all, if that is known."""
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class TextArgument:
    """One argument."""

    schema: Mapping[str, Any]
    """Its JSON Schema, with all definitions inside."""
    required: bool

    @property
    def types(self) -> frozenset[str]:
        """The JSON types it takes; text is among them where the schema does not say."""
        return frozenset(node.get("type", "string") for node in _alternatives(self.schema))

    def value(self, text: str) -> Any:
        """Return what the text is read from first: itself, or the value it is the JSON of where that is a structure."""
        return self.value_of_json(text) if self.types & _STRUCTURES else text

    def value_of_json(self, text: str) -> Any:
        """Return the value that `text` is the JSON of, if its type is taken and text is not; else `text`."""
        value = text if "string" in self.types else from_json_text(text)
        return value if json_type(value) in self.types else text

    def candidates(self) -> tuple[str, ...]:
        """Return the texts it takes, where its type lists them, as an enum does."""
        found = [value for node in _alternatives(self.schema) for value in _listed(node)]
        return tuple(dict.fromkeys(value for value in found if isinstance(value, str)))[:_MOST_CANDIDATES]


class TextArguments:
    """The parameters of a function; `owner` is the prompt or resource that it belongs to, for messages.

    If `spreads`, and the one parameter is a Pydantic model, a dataclass or a TypedDict, its fields are the arguments;
    so are those of `model`, which is declared beside the function. Raises ToolDefinitionError if a parameter's type has
    no JSON Schema.
    """

    def __init__(
        self, owner: str, signature: Signature, *, spreads: bool, model: type[BaseModel | None] | None = None
    ) -> None:
        self.owner = owner
        label = signature.function
        no_whole: tuple[str | None, Any] = (None, None)
        self._whole, whole = _whole_of(signature, model) if spreads else no_whole
        if self._whole is not None:
            adapter, self.schema = describe(whole, "validation", label, "what it takes")
            self._validator = validator_of(adapter.core_schema)
        else:
            adapter, self.schema = describe_parameters(signature)
            self._validator = keywords_validator(adapter.core_schema)
        signature.place_descriptions(self.schema)
        properties = self.schema.get("properties", {})
        for parameter in () if self._whole is not None else signature.parameters:
            if parameter.name not in properties:
                raise ToolDefinitionError(
                    f"{label}: parameter {parameter.name!r} has an alias; its own name is used here"
                )
        required, definitions = self.schema.get("required", ()), self.schema.get("$defs", {})
        self.by_name = {
            name: TextArgument({**schema, "$defs": definitions}, name in required)
            for name, schema in properties.items()
        }

    def owned_by(self, owner: str) -> TextArguments:
        """Return those of the same function under another name."""
        twin = copy.copy(self)
        twin.owner = owner
        return twin

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the keywords to call the function with, or raise InvalidArguments."""
        unknown = texts.keys() - self.by_name.keys()
        values = {name: self.by_name[name].value(text) for name, text in texts.items() if name not in unknown}
        value, failure = self._accept(values)
        if failure is not None:
            value, failure = self._accept(self._read_again(values, failure))
        if failure is not None or unknown:
            raise invalid_arguments(
                self.owner, failure, texts, unknown=sorted(unknown), schema=self.schema, are_texts=True
            )
        if self._whole is None:
            keywords: dict[str, Any] = value
            return keywords
        return {self._whole: value} if self._whole else {}

    def _accept(self, values: Mapping[str, Any]) -> tuple[Any, ValidationError | None]:
        try:
            # As JSON, whose texts are read as dates, enums and numbers also where a model is strict.
            return self._validator.validate_json(json.dumps(values)), None
        except ValidationError as error:
            return None, error

    def _read_again(self, values: Mapping[str, Any], failure: ValidationError) -> dict[str, Any]:
        """Return the values with those that failed read another way, if there is one.

        An empty text is what forms send for a field that nobody filled in.
        """
        failed = {error["loc"][0] for error in described(failure) if error["loc"]}
        again: dict[str, Any] = {}
        for name, value in values.items():
            argument = self.by_name[name]
            if name not in failed:
                again[name] = value
            elif value != "" or argument.required:
                again[name] = argument.value_of_json(value) if type(value) is str else value
        return again


def _whole_of(signature: Signature, model: type[BaseModel | None] | None) -> tuple[str | None, Any]:
    """Return the parameter that takes all arguments, empty for none and None if each has its own, and its type."""
    if model is not None:
        taken = no_inputs() if model is NoneType else model
        return parameter_for(taken, signature, option="arguments_type"), taken
    only = the_only_parameter(signature)
    return (only.name, only.annotation) if only is not None and _has_fields(bare(only.annotation)) else (None, None)


def _has_fields(declared: Any) -> bool:
    if is_typeddict(declared) or (isinstance(declared, type) and is_dataclass(declared)):
        return True
    return isinstance(declared, type) and issubclass(declared, BaseModel) and not declared.__pydantic_root_model__


class CompletableOptions(Options, total=False):
    """The options of what has arguments that arrive as text."""

    completions: Mapping[str, Completer] | None
    """What completes the arguments, by name: of a prompt, or of a resource template."""


class CompletableDeclaration(Declaration):
    """A declaration whose arguments arrive as text and can be completed: a prompt or a resource template."""

    __slots__ = ("_arguments", "completers")

    completers: Mapping[str, tuple[str, ...] | Signature]
    """What completes its arguments: what is given, or else the values that an argument's type lists."""

    def _take_arguments(
        self,
        owner: str,
        options: CompletableOptions,
        *,
        spreads: bool,
        model: type[BaseModel | None] | None = None,
    ) -> None:
        self._arguments = TextArguments(owner, self._signature, spreads=spreads, model=model)
        label = self._signature.function
        listed = {name: argument.candidates() for name, argument in self._arguments.by_name.items()}
        completers: dict[str, tuple[str, ...] | Signature] = {name: found for name, found in listed.items() if found}
        for name, completer in (options.get("completions") or {}).items():
            if not self.takes(name):
                raise ToolDefinitionError(f"{label}: completions names {name!r}, which it does not take")
            completers[name] = _checked(completer, f"{label}: the completion of {name!r}")
        self.completers = completers

    def takes(self, name: str) -> bool:
        """Say whether it has an argument of this name."""
        return name in self._arguments.by_name

    async def complete(
        self,
        name: str,
        value: str,
        arguments: Mapping[str, str],
        exchange: Exchange,
        make_context: MakeContext = Context,
    ) -> dict[str, Any]:
        """Return the `completion` member of a `CompleteResult` for the text so far of the argument of this name.

        `arguments` are the others as far as the client says. Raises TypeError if the function returns what is no text.
        """
        completer = self.completers.get(name, ())
        if isinstance(completer, tuple):
            begun = value.casefold()
            return _completion([choice for choice in completer if choice.casefold().startswith(begun)])
        # A function with one parameter does not want the other arguments.
        names = [parameter.name for parameter in completer.parameters]
        keywords = dict(zip(names, (value, dict(arguments)), strict=False))
        return await invoke(completer, keywords, exchange, make_context, finish=_completion)


def _checked(completer: Completer, label: str) -> tuple[str, ...] | Signature:
    if not callable(completer):
        choices = () if isinstance(completer, str) else tuple(completer)
        if not choices or not all(isinstance(choice, str) for choice in choices):
            raise ToolDefinitionError(f"{label} is a list of texts, or a function that returns one")
        return choices
    signature = read_signature(completer)
    if not 0 < len(signature.parameters) <= _MOST_PARAMETERS:
        raise ToolDefinitionError(
            f"{label}: {signature.function} takes the text so far and, if it wants, the other arguments; "
            "write (value: str, arguments: dict[str, str])"
        )
    return signature


def _completion(returned: Completion | Values | None) -> dict[str, Any]:
    found = returned if isinstance(returned, Completion) else Completion(returned or ())
    values = list(islice(found.values, MOST_VALUES + 1))
    if isinstance(found.values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError("a completion returns texts")
    has_more = found.has_more or len(values) > MOST_VALUES
    total = found.total
    if total is None and isinstance(found.values, (list, tuple, set, frozenset)) and not found.has_more:
        total = len(found.values)
    counted = {} if total is None else {"total": total}
    return {"values": values[:MOST_VALUES], "hasMore": has_more, **counted}


def _alternatives(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas that a value may follow: those of a union one by one, references resolved once each."""
    definitions = schema.get("$defs", {})
    waiting: list[Mapping[str, Any]] = [schema]
    seen: set[str] = set()
    while waiting:
        node = waiting.pop(0)
        branches = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
        reference = node.get("$ref")
        if reference is not None and reference not in seen:
            seen.add(reference)
            branches.append(definitions[reference.removeprefix("#/$defs/")])
        if branches or reference is not None:
            waiting += branches
        else:
            yield node


def _listed(node: Mapping[str, Any]) -> list[Any]:
    return [node["const"]] if "const" in node else list(node.get("enum", ()))
