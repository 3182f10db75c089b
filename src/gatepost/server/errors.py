"""Errors of the tool side, one class per condition."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from gatepost.late_dataclass import dataclass
from gatepost.resource.scope_needs import all_of, to_ask_for

_MOST_PROBLEMS = 10
_MOST_CHARACTERS = 2000


class ToolError(Exception):
    """Raise this in a tool to tell the client, in your words, why the call failed.

    The text becomes a result with `isError: true` (MCP, server/tools, "Error Handling"), which models read to correct
    themselves. Any other exception becomes a generic text with an incident id. So put everything here that helps, and
    nothing secret.
    """


class ToolInvocationError(ToolError):
    """A `ToolError` that names its tool, for programs that raise it with two texts.

    Args:
        tool: the tool's name.
        message: what went wrong, in words for the client.
    """

    def __init__(self, tool: str, message: str) -> None:
        super().__init__(f"Error calling {tool}: {message}")
        self.tool = tool
        self.message = message


@dataclass(frozen=True, slots=True)
class ArgumentProblem:
    """One thing that is wrong with the arguments of a call."""

    location: str
    """The argument, such as `limit` or `items[0].name`; empty when the arguments as a whole are meant."""
    message: str
    """What is taken there; never the value that was given."""

    def __str__(self) -> str:
        return f"{self.location}: {self.message}" if self.location else self.message


class InvalidArguments(Exception):
    """The arguments of a call do not fit the tool's input schema.

    `str(error)` is one line for the client: every field with what it takes, bounded in length. No given value is in it,
    because a value may be a secret and this text is logged and shown. Whether it is answered as an error result
    or as a JSON-RPC error (-32602) depends on the revision and is the dispatcher's decision.
    """

    def __init__(self, tool: str, problems: Iterable[ArgumentProblem], *, hint: str = "") -> None:
        self.tool = tool
        self.problems = tuple(problems)
        shown = [str(problem) for problem in self.problems[:_MOST_PROBLEMS]]
        if len(self.problems) > _MOST_PROBLEMS:
            shown.append(f"and {len(self.problems) - _MOST_PROBLEMS} more")
        text = f"Invalid arguments for {tool}: {'; '.join(shown)}."
        if len(text) > _MOST_CHARACTERS:
            text = text[: _MOST_CHARACTERS - 1] + "…"
        super().__init__(f"{text} {hint}" if hint else text)


class InvalidResult(Exception):
    """A tool returned something that cannot be sent, or that does not fit its declared output.

    Client and log hear the sentence, which holds no value.
    """


class ResourceNotFound(Exception):
    """Raise this in the function of a resource that knows nothing under the URI it was asked for.

    It becomes the specification's error (MCP, server/resources, "Error Handling"); a text that you give is for nobody
    but readers of the code.
    """


class InsufficientScope(Exception):
    """Raise this in a tool, a resource or a prompt that finds out on its way that the caller's token is not enough.

    It becomes HTTP 403 with a challenge that names the scopes, so that the client can ask its user for them (MCP,
    basic/authorization, "Scope Challenge Handling"). Once a part of the answer has gone out, such as a progress
    notification, it is a JSON-RPC error that names them.

    Args:
        scopes: what the call needs beyond what is declared; one or several.
    """

    def __init__(self, *scopes: str | AbstractSet[str]) -> None:
        super().__init__("the caller's token lacks a scope")
        self.scopes: frozenset[str] = to_ask_for(all_of(*scopes))
        """What to ask for, granted or not."""

    def beside(self, declared: frozenset[str]) -> InsufficientScope:
        """Return it with what is declared, since the operation needs both."""
        return InsufficientScope(self.scopes, declared)


class ToolDefinitionError(TypeError):
    """A function cannot become a tool, a resource or a prompt.

    The message names the function, the parameter and what to write instead.
    """


class UnknownState(KeyError):
    """The lifespan yielded nothing under this key; the message names the keys it did yield."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which is no sentence.
        return str(self.args[0])
