"""Text arguments, those of prompts and the values in the URI of a resource, and their completion.

A parameter that takes text gets it as it is. Other types are read from it: numbers, booleans, dates and enums as people
write them, lists and objects as JSON. Completion is what fits an argument that somebody is typing (MCP
server/utilities/completion).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import ValidationError

from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.declaration import Declaration, MakeContext, Options, invoke
from gatepost.server.declared.inputs import message_of, plain_name, stand_in
from gatepost.server.declared.signature import Signature, read_signature
from gatepost.server.errors import ArgumentProblem, InvalidArguments, ToolDefinitionError
from gatepost.server.json_schema import describe

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


class CompletableOptions(Options, total=False):
    """The options of what has arguments that arrive as text."""

    completions: Mapping[str, Completer] | None
    """What completes the arguments, by name: of a prompt, or of a resource template."""


class CompletableDeclaration(Declaration):
    """A declaration whose arguments arrive as text and can be completed: a prompt or a resource template."""

    __slots__ = ("_arguments", "completers")

    completers: Mapping[str, tuple[str, ...] | Signature]
    """What completes its arguments: what is given, or else the values that an argument's type lists."""

    def _take_arguments(self, owner: str, options: CompletableOptions) -> None:
        self._arguments = TextArguments(owner, self._signature)
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
        return _completion(await invoke(completer, keywords, exchange, make_context))


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
