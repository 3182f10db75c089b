"""Scopes in groups, for a person who is asked about many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gatepost.late_dataclass import dataclass

MANY: Final = 6
"""So many scopes can be taken in at a glance; more are put in groups even where nobody has named any."""
_SEPARATOR: Final = re.compile("[:./]")


@dataclass(frozen=True, slots=True)
class ScopeGroup:
    """Some of the scopes that are asked for."""

    heading: str | None
    """The operator's words, or what the names of the scopes begin with; None for those that belong to none."""
    scopes: tuple[str, ...]


def in_groups(scopes: Sequence[str], names: Mapping[str, str]) -> tuple[ScopeGroup, ...]:
    """Return the scopes in groups, in the order in which they are asked for; what is in no group comes last.

    Args:
        scopes: such as `mail:read`, `mail:send`, `files:read`.
        names: the operator's words for groups, by what the names of their scopes begin with, such as `mail`. Without
            any, more than `MANY` scopes are put together by what stands before the first `:`, `.` or `/`.
    """
    groups: dict[str | None, list[str]] = {}
    for scope in scopes:
        groups.setdefault(_named(scope, names) if names else _SEPARATOR.split(scope, maxsplit=1)[0], []).append(scope)
    if not names:
        groups = _worthwhile(scopes, groups)
    alone = groups.pop(None, [])
    found = [ScopeGroup(names.get(key or "", key), tuple(members)) for key, members in groups.items()]
    return (*found, ScopeGroup(None, tuple(alone))) if alone else tuple(found)


def _named(scope: str, names: Mapping[str, str]) -> str | None:
    """Return the longest of the beginnings that end where a part of the scope's name does."""
    fitting = (name for name in names if scope.startswith(name) and _SEPARATOR.match(scope[len(name) :] or ":"))
    return max(fitting, key=len, default=None)


def _worthwhile(scopes: Sequence[str], groups: Mapping[str | None, list[str]]) -> dict[str | None, list[str]]:
    large = {key: members for key, members in groups.items() if len(members) > 1}
    if len(scopes) <= MANY or len(large) < 2:  # noqa: PLR2004 - one group parts nothing
        return {None: list(scopes)}
    return {**large, None: [scope for scope in scopes if not any(scope in members for members in large.values())]}
