"""Which scopes those things need that stand behind: tools, prompts, resources and methods, by name or pattern.

Rules for servers that declare no scopes themselves. Whoever relays a message asks `ScopeMap.needed` before it and, of
an answer to one of the `LISTS`, `ScopeMap.shows` about each entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.resource.scope_needs import ScopeNeeds, all_of, closure

LISTS: Final[Mapping[str, str]] = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
"""The methods that answer a list, each with the member of its result that is the list."""

_UNCOUNTED: Final = frozenset(
    {
        *LISTS,
        "initialize",
        "ping",
        "server/discover",
        "logging/setLevel",
        # A task is known by an identifier that only its call was answered with, and that call has been checked. Their
        # list is not among these: it names the tasks of the same person's other apps, which may have wider scopes.
        "tasks/get",
        "tasks/update",
        "tasks/result",
        "tasks/cancel",
    }
)
"""Methods of the specification that name nothing that has scopes. Every other one is looked up by its own name."""

_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 section 3.3
_STAR: Final = re.compile(r"\*")
_WILDCARD: Final = re.compile(r"\*|\{[^{}]*\}")
_VARIABLE: Final = re.compile(r"\{[A-Za-z0-9_.]+\}")  # RFC 6570 section 3.2.2: what it stands for has no slash
# What one reader of URIs takes for another URI than the next one does: blanks, control characters, backslashes, empty
# and dot segments, escapes of what needs none (RFC 3986 section 6.2.2), and of http whatever section 6.2.3 adds.
_AMBIGUOUS: Final = re.compile(
    r"""[\x00-\x20\x7f\\]
      | \A[^?\#]*?[/:]\.{1,2}(?:[/?\#]|\Z)
      | \A[^:]*:(?://[^/?\#]*)?+[^?\#]*?//
      | %(?:2[def]|3[0-9]|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9ae])
      | \A https?:(?!//[^/?\#@:]+(?::[1-9][0-9]*)?/)
      | \A http://[^/]*:80/ | \A https://[^/]*:443/
    """,
    re.VERBOSE | re.IGNORECASE,
)

# What stands before a query or a fragment: some readers serve the same without them, and some unescape first.
_BEFORE_FRAGMENT: Final = re.compile("(.*?)(?:#|%23)", re.DOTALL)
_BEFORE_QUERY: Final = re.compile("(.*?)(?:[?#]|%23|%3f)", re.DOTALL)
_NOTHING: Final[Mapping[str, Any]] = {}
_MOST_KNOWN: Final = 1024
_LONGEST_KNOWN: Final = 128
_LONGEST_URI: Final = 8192
"""Characters; of a longer one nobody says what it needs."""

Needs = Iterable[str | AbstractSet[str]]
"""Scopes, all of which are needed, and what `any_of` returns."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A name with wildcards."""

    text: re.Pattern[str]
    slashes: int | None
    """How many there are in what it matches; None for any number. None of its wildcards stands for one then."""

    def matches(self, name: str) -> bool:
        return self.text.fullmatch(name) is not None and self.slashes in {None, name.count("/")}


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules about one kind of thing."""

    by_name: Mapping[str, frozenset[str]]
    by_pattern: tuple[tuple[_Pattern, frozenset[str]], ...]
    known: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """What names that were asked about need."""

    def matching(self, name: str) -> list[frozenset[str]]:
        """Return what each rule asks for whose name or pattern this is."""
        found = [needs for pattern, needs in self.by_pattern if pattern.matches(name)]
        if name in self.by_name:
            found.append(self.by_name[name])
        return found

    @property
    def all(self) -> tuple[frozenset[str], ...]:
        return (*self.by_name.values(), *(needs for _, needs in self.by_pattern))


class ScopeMap:
    """Scopes for what stands behind, by name or pattern.

        ScopeMap(
            tools={"list_*": ["notes:read"], "delete_note": any_of("notes:admin", "notes:owner")},
            resources={"notes://{id}": ["notes:read"]},
            default=["notes:admin"],
            descriptions={"notes:read": "Read your notes"},
        )

    In a pattern `*` is any text, and in one for resources `{name}` any text without a slash, so that a template's text
    is the pattern of what it stands for. **Every** rule counts that matches: another rule never opens what one closes.

    Args:
        tools: what is needed to see and to call tools, by name or pattern. A list means all of its scopes, `any_of`
            one of several; an empty list lets everybody who has a token.
        prompts: likewise.
        resources: likewise by URI, whatever its case; subscriptions and completions count as reading.
        methods: likewise for methods that the specification does not have.
        default: what is needed for whatever no rule matches. None, the safe choice: every scope that a rule names, so
            that a tool which is new behind opens to nobody by itself.
        descriptions: what the consent page says of a scope, by scope; those without words may be among them.
        implied_scopes: which scopes open what others are for, as for `Server`.
        scope_groups: headings for scopes whose names begin alike, as for `Server`.

    Raises:
        ValueError: a name, a pattern or a scope cannot be one; the sentence says which.
        TypeError: scopes are no list.
    """

    def __init__(
        self,
        *,
        tools: Mapping[str, Needs] | None = None,
        prompts: Mapping[str, Needs] | None = None,
        resources: Mapping[str, Needs] | None = None,
        methods: Mapping[str, Needs] | None = None,
        default: Needs | None = None,
        descriptions: Mapping[str, str] | None = None,
        implied_scopes: Mapping[str, Iterable[str]] | None = None,
        scope_groups: Mapping[str, str] | None = None,
    ) -> None:
        self._tools = _rules("tools", tools or {})
        self._prompts = _rules("prompts", prompts or {})
        self._resources = _rules("resources", resources or {})
        self._methods = _rules("methods", methods or {})
        self._resources_lower = _rules("resources", resources or {}, is_lower=True)
        rules = (self._tools, self._prompts, self._resources, self._methods)
        needs = [each for kind in rules for each in kind.all]
        named = dict.fromkeys(scope for each in needs for scope in sorted(each))
        self.default = frozenset(named) if default is None else _needs("default", default)
        """What is needed for whatever no rule matches."""
        self.implied_scopes = closure({scope: tuple(opened) for scope, opened in (implied_scopes or {}).items()})
        """For each scope that implies others, all that it opens, itself included."""
        self.descriptions = dict(descriptions or {})
        self.scope_groups = dict(scope_groups or {})
        implied = (scope for opened in self.implied_scopes.values() for scope in sorted(opened))
        self.scopes: tuple[str, ...] = tuple(
            dict.fromkeys((*self.descriptions, *self.implied_scopes, *implied, *named, *sorted(self.default)))
        )
        """Every scope there is, in the order in which people are shown them."""
        for scope in self.scopes:
            _check_scope("scopes", scope)
        self._all_of_resources = all_of(*self._resources.all, self.default)

    def __bool__(self) -> bool:
        """Say whether it asks for anything."""
        return bool(self.scopes)

    def needed(self, method: str, params: Mapping[str, Any]) -> frozenset[str]:
        """Return the scopes that a request or notification needs; perhaps a `ScopeNeeds`, so compare with `<=`."""
        match method:
            case "tools/call":
                needs = self._named(self._tools, params.get("name"), params)
            case "prompts/get":
                needs = self._named(self._prompts, params.get("name"), params)
            case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
                needs = self._of_uri(params.get("uri"), params)
            case "completion/complete":
                needs = self._of_reference(params)
            case "subscriptions/listen":
                needs = self._of_subscription(params)
            case _:
                is_free = method in _UNCOUNTED or method.startswith("notifications/")
                needs = frozenset() if is_free else self._named(self._methods, method)
        return needs

    def is_private(self, method: str, params: Mapping[str, Any]) -> bool:
        """Say whether a result is for its caller alone, since the next one may get another, or none.

        Its `cacheScope` is not `public` then (2026-07-28 server/utilities/caching, "Security Considerations").
        """
        if method in LISTS:
            return bool(self)
        return method == "resources/read" and bool(self.needed(method, params))

    def shows(self, member: str, entry: Any, granted: AbstractSet[str] | None) -> bool:
        """Say whether a caller may see an entry of a list, which is so if it may use it.

        Args:
            member: where the result has the list, one of the values of `LISTS`.
            entry: the entry, as JSON has it.
            granted: the caller's scopes; None where scopes do not count.
        """
        if granted is None:
            return True
        given = entry if isinstance(entry, Mapping) else {}
        if member == "resources":
            needs = self._of_uri(given.get("uri"))
        elif member == "resourceTemplates":
            needs = self._of_uri(given.get("uriTemplate"))
        else:
            needs = self._named(self._prompts if member == "prompts" else self._tools, given.get("name"))
        return needs <= granted

    def _named(self, rules: _Rules, name: Any, within: Mapping[str, Any] = _NOTHING) -> frozenset[str]:
        if _is_ambiguous(within, "name"):
            return all_of(*rules.all, self.default)
        if not isinstance(name, str):
            return self.default
        needs = rules.known.get(name)
        if needs is None:
            found = rules.matching(name)
            needs = all_of(*found) if found else self.default
            # Names come from strangers: few are kept, and none that is long.
            if len(rules.known) < _MOST_KNOWN and len(name) <= _LONGEST_KNOWN:
                rules.known[name] = needs
        return needs

    def _of_uri(self, uri: Any, within: Mapping[str, Any] = _NOTHING) -> frozenset[str]:
        # A server may serve one resource under several spellings of its URI: what another reader could take for another
        # URI needs whatever any resource needs. In schemes and hosts the case says nothing (RFC 3986 section 6.2.2.1),
        # so every rule counts that matches but for it; it does not stand in for the default then. So it is without the
        # query and the fragment.
        if not isinstance(uri, str) or len(uri) > _LONGEST_URI or _AMBIGUOUS.search(uri):
            return self._all_of_resources
        if _is_ambiguous(within, "uri"):
            return self._all_of_resources
        exact, lower = self._resources.matching(uri), uri.lower()
        found = self._resources_lower.matching(lower)
        for before in (_BEFORE_FRAGMENT.match(lower), _BEFORE_QUERY.match(lower)):
            if before is not None:
                found += self._resources_lower.matching(before[1])
        if not exact:
            return all_of(self.default, *found)
        return found[0] if len(found) == 1 else all_of(*found)

    def _of_reference(self, params: Mapping[str, Any]) -> frozenset[str]:
        reference = params.get("ref")
        given = reference if isinstance(reference, Mapping) else {}
        if _is_ambiguous(params, "ref") or _is_ambiguous(given, "type"):
            return all_of(self._all_of_resources, *self._prompts.all)
        match given.get("type"):
            case "ref/prompt":
                return self._named(self._prompts, given.get("name"), given)
            case "ref/resource":
                return self._of_uri(given.get("uri"), given)
        return self.default

    def _of_subscription(self, params: Mapping[str, Any]) -> frozenset[str]:
        notifications = params.get("notifications")
        given = notifications if isinstance(notifications, Mapping) else {}
        uris = given.get("resourceSubscriptions") or []
        if _is_ambiguous(params, "notifications") or _is_ambiguous(given, "resourceSubscriptions"):
            return self._all_of_resources
        return all_of(*map(self._of_uri, uris)) if isinstance(uris, list) else self._all_of_resources


def _is_ambiguous(given: Mapping[str, Any], member: str) -> bool:
    """Say whether an object has a member that only its case tells from this one.

    Some readers take it for the same and let the last one count, such as those in Go (`encoding/json`, "Unmarshal").
    """
    folded = member.casefold()
    return any(name != member and name.casefold() == folded for name in given)


def _rules(kind: str, given: Mapping[Any, Needs], *, is_lower: bool = False) -> _Rules:
    by_name: dict[str, frozenset[str]] = {}
    by_pattern: list[tuple[_Pattern, frozenset[str]]] = []
    for name, scopes in given.items():
        if not isinstance(name, str) or not name or not name.isprintable():
            raise ValueError(f"{kind}: {name!r} is no name and no pattern.")
        needs = _needs(f"{kind}: {name!r}", scopes)
        spelt = name.lower() if is_lower else name
        pattern = _pattern(spelt, has_variables=kind == "resources")
        if pattern is not None:
            by_pattern.append((pattern, needs))
        # In lower case two names may become one; a template's own text is looked up as well as what it stands for.
        if pattern is None or kind == "resources":
            by_name[spelt] = all_of(by_name.get(spelt, frozenset()), needs)
    return _Rules(by_name, tuple(by_pattern))


def _pattern(text: str, *, has_variables: bool) -> _Pattern | None:
    """Return what a name with wildcards matches; None where it has none."""
    wildcards = [found for found in _WILDCARD.findall(text) if has_variables or found == "*"]
    if not wildcards:
        return None
    first, *rest = (_WILDCARD if has_variables else _STAR).split(text)
    *between, last = rest
    # Atomic groups: each text between two wildcards is taken where it first occurs, which is never wrong, and is what
    # keeps the time linear in what a client sends.
    inner = "".join(f"(?>.*?{re.escape(part)})" for part in between if part)
    whole = re.compile(f"{re.escape(first)}{inner}.*{re.escape(last)}", re.DOTALL)
    return _Pattern(whole, text.count("/") if all(map(_VARIABLE.fullmatch, wildcards)) else None)


def _needs(what: str, given: Needs) -> frozenset[str]:
    if isinstance(given, str):
        raise TypeError(f"{what} takes a list; write [{given!r}].")
    try:
        needs = given if isinstance(given, ScopeNeeds) else all_of(*given)
    except TypeError:
        raise TypeError(f"{what} takes a list of scopes, or any_of(...).") from None
    for scope in needs:
        _check_scope(what, scope)
    return needs


def _check_scope(what: str, scope: object) -> None:
    if not isinstance(scope, str) or _SCOPE.fullmatch(scope) is None:
        raise ValueError(f"{what}: {scope!r} is no scope (RFC 6749 section 3.3).")
