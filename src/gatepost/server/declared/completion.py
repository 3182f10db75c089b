"""Completion: what fits an argument that somebody is typing (MCP server/utilities/completion)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.declaration import Declaration, Options
from gatepost.server.declared.invocation import MakeContext, invoke
from gatepost.server.declared.signature import Signature, read_signature
from gatepost.server.declared.text_arguments import TextArguments
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
        completers: dict[str, tuple[str, ...] | Signature] = {}
        for name, argument in self._arguments.by_name.items():
            if candidates := argument.candidates():
                completers[name] = candidates
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
