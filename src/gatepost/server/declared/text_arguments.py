"""Text arguments: those of prompts, and the values in the URI of a resource.

A parameter that takes text gets it as it is. Other types are read from it: numbers, booleans, dates and enums as people
write them, lists and objects as JSON.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import ValidationError

from gatepost.server.declared.argument_errors import message_of, plain_name
from gatepost.server.declared.inputs import stand_in
from gatepost.server.declared.signature import Signature
from gatepost.server.errors import ArgumentProblem, InvalidArguments, ToolDefinitionError
from gatepost.server.json_schema import describe

_STRUCTURES: Final = frozenset({"array", "object"})
_MOST_CANDIDATES: Final = 100


@dataclass(frozen=True, slots=True)
class TextArgument:
    """One parameter."""

    schema: Mapping[str, Any]
    """Its JSON Schema, with all definitions inside."""
    required: bool
    _adapter: TypeAdapter[Any]
    _types: frozenset[str]
    """The JSON types it takes; empty when it takes any."""

    def read(self, text: str) -> Any:
        """Return the value, or raise ValidationError: the text stands for none that fits."""
        if self._types & _STRUCTURES and "string" not in self._types:
            return self._adapter.validate_json(text)
        try:
            return self._adapter.validate_strings(text)
        except ValidationError:
            # Such as `Literal[1, 2]`, whose members are no texts.
            if self._types and "string" not in self._types:
                with contextlib.suppress(ValidationError):
                    return self._adapter.validate_json(text)
            raise

    def candidates(self) -> tuple[str, ...]:
        """Return the texts it takes, where its type lists them, as an enum does."""
        found = [value for node in _alternatives(self.schema) for value in _listed(node)]
        return tuple(dict.fromkeys(value for value in found if isinstance(value, str)))[:_MOST_CANDIDATES]


class TextArguments:
    """The parameters of a function; `owner` is the prompt or resource that it belongs to, for messages.

    Raises ToolDefinitionError if a parameter's type has no JSON Schema.
    """

    def __init__(self, owner: str, signature: Signature) -> None:
        self._owner = owner
        self.by_name = {parameter.name: _argument(parameter, signature.function) for parameter in signature.parameters}

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the keywords to call the function with, defaults left to it, or raise InvalidArguments."""
        problems = [
            ArgumentProblem(plain_name(name), "is not an argument here") for name in texts if name not in self.by_name
        ]
        keywords: dict[str, Any] = {}
        for name, argument in self.by_name.items():
            if name in texts:
                try:
                    keywords[name] = argument.read(texts[name])
                except ValidationError as error:
                    messages = dict.fromkeys(message_of(one) for one in error.errors(include_url=False)[:10])
                    problems.append(ArgumentProblem(name, " or ".join(messages)))
            elif argument.required:
                problems.append(ArgumentProblem(name, "is required"))
        if problems:
            raise InvalidArguments(self._owner, problems)
        return keywords


def _argument(parameter: inspect.Parameter, function: str) -> TextArgument:
    name, what = parameter.name, f"parameter {parameter.name!r}"
    _, whole = describe(stand_in([parameter]), "validation", function, what, shown=parameter.annotation)
    if name not in whole["properties"]:
        raise ToolDefinitionError(f"{function}: {what} has an alias; here its own name is used")
    required = parameter.default is inspect.Parameter.empty
    if required and name not in whole.get("required", ()):
        raise ToolDefinitionError(f"{function}: write the default of {what} as {name}: ... = ..., outside of its type")
    schema = {**whole["properties"][name], "$defs": whole.get("$defs", {})}
    # Without a type it takes any, text among them.
    types = frozenset(node.get("type", "string") for node in _alternatives(schema))
    return TextArgument(schema, required, TypeAdapter(parameter.annotation), types)


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
