"""What a server says of its scopes: in which words, under which headings, and which of them imply others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gatepost.resource.scope_needs import closure
from gatepost.server.declared.declaration import scopes_of

if TYPE_CHECKING:
    from gatepost.server.registry import Registry


class ScopeWords:
    """That of one server, and of those that it includes.

    Args:
        registry: has what scopes are needed for.
        words: for the consent page, by scope.
        implied: what each opens beside itself.
        groups: headings, by what the names of scopes begin with.

    Raises:
        ToolDefinitionError: something among `implied` is no scope.
    """

    def __init__(
        self,
        registry: Registry,
        words: Mapping[str, str],
        implied: Mapping[str, Iterable[str]],
        groups: Mapping[str, str],
    ) -> None:
        self._registry = registry
        self._words = dict(words)
        checked = {scope: scopes_of(others, f"implied_scopes[{scope!r}]") for scope, others in implied.items()}
        scopes_of(checked, "implied_scopes")
        self._implied = closure(checked)
        self._groups = dict(groups)
        self._included: list[ScopeWords] = []

    def include(self, other: ScopeWords) -> None:
        """Have what an included server says of its scopes here too, after what is said here."""
        self._included.append(other)

    @property
    def implied(self) -> dict[str, frozenset[str]]:
        """See `Server.implied_scopes`."""
        merged = dict(self._implied)
        for included in self._included:
            for scope, implied in included.implied.items():
                merged[scope] = merged.get(scope, frozenset()) | implied
        return closure(merged)

    @property
    def groups(self) -> dict[str, str]:
        """See `Server.scope_groups`."""
        groups: dict[str, str] = {}
        for included in self._included:
            groups = included.groups | groups
        return groups | self._groups

    @property
    def descriptions(self) -> dict[str, str]:
        """See `Server.scope_descriptions`."""
        descriptions = dict(self._words)
        for included in self._included:
            for scope, words in included.descriptions.items():
                descriptions.setdefault(scope, words)
        for scope, implied in self.implied.items():
            for each in (scope, *sorted(implied)):
                descriptions.setdefault(each, each)
        for declaration in self._registry.declarations():
            for scope in sorted(declaration.scopes):
                descriptions.setdefault(scope, scope)
        return descriptions

    @property
    def destructive(self) -> frozenset[str]:
        """See `Server.destructive_scopes`."""
        tools = self._registry.tools.known.values()
        return frozenset(scope for tool in tools if tool.is_destructive for scope in tool.scopes)
