"""Which scopes an operation needs: each of some (RFC 6750 section 3.1 names them all), or one of several.

A plain set of scopes means each of them. `needs <= granted` says of a plain set and of `ScopeNeeds` alike whether what
was granted is enough, so whoever asks that need not know which of the two it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Self


class ScopeNeeds(frozenset[str]):
    """Scopes in groups, of each of which one is needed. As a set it is all that are named."""

    groups: tuple[tuple[str, ...], ...]
    """Each in the order of preference."""

    def __new__(cls, groups: Iterable[Iterable[str]]) -> Self:
        """Raise ValueError if a group has nothing in it."""
        ordered = tuple(tuple(dict.fromkeys(group)) for group in groups)
        if not all(ordered):
            raise ValueError("one of no scopes can never be there: name at least one")
        self = super().__new__(cls, (scope for group in ordered for scope in group))
        self.groups = ordered
        return self

    def __le__(self, granted: AbstractSet[object]) -> bool:
        """Say whether one scope of each group was granted."""
        return all(not granted.isdisjoint(group) for group in self.groups)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScopeNeeds) and self.groups == other.groups

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.groups)

    def __repr__(self) -> str:
        return f"ScopeNeeds({self.groups!r})"


def any_of(*scopes: str) -> ScopeNeeds:
    """Return the need of one of several scopes; the first is what a client without any of them is told to ask for.

    Raises:
        ValueError: there are none.
    """
    return ScopeNeeds([scopes])


def all_of(*needs: str | AbstractSet[str]) -> frozenset[str]:
    """Return the need of each: scopes, and what `any_of` returns."""
    groups = [group for need in needs for group in groups_of(frozenset({need}) if isinstance(need, str) else need)]
    return ScopeNeeds(groups) if any(len(group) > 1 for group in groups) else frozenset(group[0] for group in groups)


def groups_of(needs: AbstractSet[str]) -> tuple[tuple[str, ...], ...]:
    """Return groups of scopes, of each of which one is needed."""
    return needs.groups if isinstance(needs, ScopeNeeds) else tuple((scope,) for scope in sorted(needs))


def to_ask_for(needs: AbstractSet[str]) -> frozenset[str]:
    """Return what a client asks for that has none of it: of each group the first."""
    return frozenset(group[0] for group in groups_of(needs))


def closure(implied: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Return for each scope all that it implies, itself included, by however many steps."""
    whole: dict[str, frozenset[str]] = {}
    for scope in implied:
        found, waiting = {scope}, [scope]
        while waiting:
            further = set(implied.get(waiting.pop(), ())) - found
            found |= further
            waiting += further
        whole[scope] = frozenset(found)
    return whole
