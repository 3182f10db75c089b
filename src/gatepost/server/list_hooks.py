"""Hooks around lists: what those of a server, and of the servers it includes, leave of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from gatepost.server.calls.around import Around
from gatepost.server.calls.context import Context
from gatepost.server.declared.declaration import Declaration
from gatepost.server.registry import Registry


async def left_of(
    registry: Registry,
    member: str,
    shown: Sequence[Declaration],
    context_of: Callable[[Mapping[str, Any]], Context],
) -> list[Declaration]:
    """Return what the hooks of a registry leave of a list, and before them those of what it includes, each of its own.

    Args:
        registry: of the server whose list it is.
        member: which list, such as `tools`.
        shown: what is in it, as it is there.
        context_of: builds a context that has this state of a lifespan.

    Raises:
        TypeError: a hook adds something.
        BaseException: whatever a hook raises.
    """
    innermost = partial(_left_of_included, registry, member, shown, context_of)
    if not registry.hooks:
        return await innermost()
    around = Around("list", tuple((hook, member) for hook in registry.hooks))
    return _part_of(shown, await around.run({}, context_of(registry.state), innermost))


async def _left_of_included(
    registry: Registry,
    member: str,
    shown: Sequence[Declaration],
    context_of: Callable[[Mapping[str, Any]], Context],
) -> list[Declaration]:
    gone: set[int] = set()
    for included in registry.included:
        if included.is_hooked:
            theirs = {
                id(one.origin.declaration): one
                for one in shown
                if one.origin is not None and one.origin.server is included
            }
            own = [one.origin.declaration for one in theirs.values() if one.origin is not None]
            left = set(map(id, await left_of(included, member, own, context_of)))
            gone |= {id(one) for key, one in theirs.items() if key not in left}
    return [one for one in shown if id(one) not in gone]


def _part_of(shown: Sequence[Declaration], found: Iterable[Declaration]) -> list[Declaration]:
    left = list(found)
    if not {id(one) for one in left} <= {id(one) for one in shown}:
        raise TypeError("a hook may leave out of a list, and not add to it")
    return left
