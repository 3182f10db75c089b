"""Hooks: what an author has done around every call of a tool, read of a resource, prompt and list."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

from gatepost.late_dataclass import dataclass
from gatepost.server.calls.context import Context

CallKind = Literal["tool", "resource", "prompt", "list"]


@dataclass(slots=True)
class Call:
    """What a hook is called around."""

    kind: CallKind
    name: str
    """The tool's or the prompt's name; the URI that is read, as the client spells it; which list it is: `tools`,
    `resources`, `resourceTemplates` or `prompts`."""
    arguments: dict[str, Any]
    """What the function is going to be called with, checked and converted; a change of it is not checked again."""
    context: Context
    """The function's own."""


CallNext = Callable[[], Awaitable[Any]]
"""Goes on, to the next hook or to the function, and gives what it returned or raises what it raised."""
Hook = Callable[[Call, CallNext], Any]
"""Gives, or gives an awaitable of, what counts as returned by the function; for a list, which declarations it has."""


@dataclass(frozen=True, slots=True)
class Around:
    """The hooks around one call."""

    kind: CallKind
    hooks: tuple[tuple[Hook, str], ...]
    """The outermost first, each with the name that what is called has to it."""

    async def run(self, arguments: dict[str, Any], context: Context, innermost: CallNext) -> Any:
        """Return what the outermost hook does, with `innermost` inside of all of them."""
        call_next = innermost
        for hook, name in reversed(self.hooks):
            call_next = partial(_step, hook, Call(self.kind, name, arguments, context), call_next)
        return await call_next()


async def _step(hook: Hook, call: Call, call_next: CallNext) -> Any:
    value = hook(call, call_next)
    return await value if inspect.isawaitable(value) else value
