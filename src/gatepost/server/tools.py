"""Tools: what a user declares, and what the server calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatepost.server.context import Context


@dataclass(frozen=True, slots=True)
class Tool:
    """A function and how it is offered, for those who prefer an object to a decorator."""

    func: Callable[..., Any]
    inputs: type[Any] | None = None
    """A model whose fields are the arguments; the function takes one instance of it (and maybe a `Context`)."""
    output: Any = None
    """The type of the result, when the return annotation does not say it."""
    name: str | None = None
    title: str | None = None
    description: str | None = None
    scopes: Sequence[str] = ()
    """All of them are needed to see and to call the tool."""
    annotations: Mapping[str, Any] | None = None
    icons: Sequence[Any] = ()


class RegisteredTool:
    """A tool, ready to be listed and called: everything that no call changes has been computed."""

    name: str
    scopes: frozenset[str]
    """All of them are needed to see and to call the tool."""
    definition: dict[str, Any]
    """The tool as `tools/list` shows it in the newest revision. Shared: copy before you change it."""

    def definition_for(self, revision: str) -> dict[str, Any]:
        """Return the tool as `tools/list` shows it in `revision` (`2025-11-25`), without what that does not know.

        The same object every time. Shared: copy before you change it.
        """
        raise NotImplementedError

    def result_for(self, revision: str, result: dict[str, Any]) -> dict[str, Any]:
        """Return `result`, which `call` gave, without what `revision` does not know; `result` itself when it fits."""
        raise NotImplementedError

    async def call(self, arguments: dict[str, Any], context: Callable[[], Context]) -> dict[str, Any]:
        """Validate, call, convert.

        Args:
            arguments: A JSON object, parsed.
            context: Builds the context; called only if the tool takes one or fails.

        Returns:
            A `CallToolResult` of the newest revision as plain JSON values: `content`, `isError` and perhaps
            `structuredContent`. What the tool raised is in there too.

        Raises:
            InvalidArguments: Before any code of the tool ran.
        """
        raise NotImplementedError
