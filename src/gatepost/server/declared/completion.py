"""Completion: what fits an argument that somebody is typing (MCP server/utilities/completion)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from gatepost.server.calls.context import Context
from gatepost.server.declared.declaration import Declaration, Options
from gatepost.server.declared.invocation import invoke
from gatepost.server.declared.signature import Signature, read_signature
from gatepost.server.declared.text_arguments import TextArguments, text_arguments
from gatepost.server.errors import ToolDefinitionError

MOST_VALUES: Final = 100
"""How many values an answer has at most, by the specification."""
_MOST_PARAMETERS: Final = 2

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
class RegisteredCompleter:
    """What completes one argument."""

    _choices: tuple[str, ...]
    _function: Signature | None = None
    _value_parameter: str = ""
    _arguments_parameter: str | None = None

    async def complete(
        self, value: str, arguments: Mapping[str, str], context: Callable[[], Context]
    ) -> dict[str, Any]:
        """Return the `completion` member of a `CompleteResult`.

        Args:
            value: The text so far.
            arguments: What the other arguments are, as far as the client says.
            context: Builds the context of the call.

        Raises:
            TypeError: The function returned something else than texts.
        """
        if self._function is None:
            begun = value.casefold()
            return _completion(Completion([choice for choice in self._choices if choice.casefold().startswith(begun)]))
        keywords: dict[str, Any] = {self._value_parameter: value}
        if self._arguments_parameter is not None:
            keywords[self._arguments_parameter] = dict(arguments)
        found = await invoke(self._function, keywords, context)
        return _completion(found if isinstance(found, Completion) else Completion(found or ()))


class CompletableOptions(Options, total=False):
    """The options of what has arguments that arrive as text."""

    completions: Mapping[str, Completer] | None
    """What completes the arguments, by name: of a prompt, or of a resource template."""


class CompletableDeclaration(Declaration):
    """A declaration whose arguments arrive as text and can be completed: a prompt or a resource template."""

    __slots__ = ("_arguments", "completers")

    completers: Mapping[str, RegisteredCompleter]
    """What completes its arguments."""

    def _take_arguments(self, owner: str, options: CompletableOptions) -> None:
        self._arguments = text_arguments(owner, self._signature)
        given = options.get("completions") or {}
        self.completers = completers_of(given, self._arguments, self._signature.function)

    def takes(self, name: str) -> bool:
        """Say whether it has an argument of this name."""
        return name in self._arguments.arguments


def completers_of(
    given: Mapping[str, Completer], arguments: TextArguments, owner: str
) -> Mapping[str, RegisteredCompleter]:
    """Return what completes each argument: what is given, or else the values that the argument's type lists.

    Raises:
        ToolDefinitionError: Naming `owner`.
    """
    completers: dict[str, RegisteredCompleter] = {}
    for name, argument in arguments.arguments.items():
        if candidates := argument.candidates():
            completers[name] = RegisteredCompleter(candidates)
    for name, completer in given.items():
        if name not in arguments.arguments:
            raise ToolDefinitionError(f"{owner}: completions names {name!r}, which it does not take")
        completers[name] = _registered(completer, f"{owner}: the completion of {name!r}")
    return completers


def _registered(completer: Completer, label: str) -> RegisteredCompleter:
    if not callable(completer):
        choices = () if isinstance(completer, str) else tuple(completer)
        if not choices or not all(isinstance(choice, str) for choice in choices):
            raise ToolDefinitionError(f"{label} is a list of texts, or a function that returns one")
        return RegisteredCompleter(choices)
    signature = read_signature(completer)
    names = [parameter.name for parameter in signature.parameters]
    if not 0 < len(names) <= _MOST_PARAMETERS:
        raise ToolDefinitionError(
            f"{label}: {signature.function} takes the text so far and, if it wants, the other arguments; "
            "write (value: str, arguments: dict[str, str])"
        )
    return RegisteredCompleter((), signature, names[0], names[1] if len(names) == _MOST_PARAMETERS else None)


def _completion(found: Completion) -> dict[str, Any]:
    values = list(islice(found.values, MOST_VALUES + 1))
    if isinstance(found.values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError("a completion returns texts")
    completion: dict[str, Any] = {
        "values": values[:MOST_VALUES],
        "hasMore": found.has_more or len(values) > MOST_VALUES,
    }
    total = found.total
    if total is None and isinstance(found.values, (list, tuple, set, frozenset)) and not found.has_more:
        total = len(found.values)
    if total is not None:
        completion["total"] = total
    return completion
