"""Which operations become tools, and which scopes those need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from fnmatch import fnmatchcase
from typing import Any, Final, TypedDict

from gatepost.late_dataclass import dataclass
from gatepost.openapi.description import METHODS, DescribedOperation
from gatepost.openapi.errors import UnmatchedSelection
from gatepost.resource.scope_needs import ScopeNeeds, all_of


class InCommon(TypedDict, total=False):
    """What operations have in common; all that is given has to fit, each by one of its values."""

    tags: Iterable[str]
    methods: Iterable[str]
    """Such as `GET`."""
    paths: Iterable[str]
    """As the description has them; `*` stands for anything, as in `/admin/*`."""
    ids: Iterable[str]
    """By `operationId`; `*` as in `paths`."""


Choice = Callable[[DescribedOperation], bool] | InCommon | Sequence[InCommon]
"""A function of an operation, or what operations have in common, or several of these."""
Scopes = Iterable["str | ScopeNeeds"]
ToolScopes = Scopes | Mapping[str, Scopes] | Callable[[DescribedOperation], Scopes]

EVERY_OTHER: Final = "*"
_TAG: Final = "tag:"
_METHODS: Final = frozenset(method.upper() for method in METHODS)


@dataclass(slots=True)
class _Condition:
    """One `InCommon`, and whether it has fitted."""

    tags: frozenset[str] | None
    methods: frozenset[str] | None
    paths: tuple[str, ...] | None
    ids: tuple[str, ...] | None
    text: str
    has_fitted: bool = False

    def fits(self, operation: DescribedOperation) -> bool:
        fits = (
            (self.tags is None or not self.tags.isdisjoint(operation.tags))
            and (self.methods is None or operation.method in self.methods)
            and (self.paths is None or any(fnmatchcase(operation.path, one) for one in self.paths))
            and (self.ids is None or any(fnmatchcase(operation.id or "", one) for one in self.ids))
        )
        self.has_fitted |= fits
        return fits


@dataclass(slots=True)
class Selection:
    """What `include` or `exclude` says."""

    option: str
    function: Callable[[DescribedOperation], bool] | None
    conditions: Sequence[_Condition] = ()

    def fits(self, operation: DescribedOperation) -> bool:
        """Say whether it names an operation."""
        if self.function is not None:
            return bool(self.function(operation))
        # All of them are asked, so that each is known to have fitted.
        fitting = [condition.fits(operation) for condition in self.conditions]
        return any(fitting)

    def check(self) -> None:
        """Raise UnmatchedSelection if a part of it has fitted nothing, as one with a slip of the pen does."""
        for condition in self.conditions:
            if not condition.has_fitted:
                raise UnmatchedSelection(f"{self.option}={condition.text} names no operation of the description")


def read_selection(option: str, given: Choice | None) -> Selection | None:
    """Return what an option says; raises TypeError if it cannot be read."""
    if given is None:
        return None
    if callable(given):
        return Selection(option, given)
    wheres: Sequence[Any] = [given] if isinstance(given, Mapping) else list(given)
    return Selection(option, None, [_condition(option, where) for where in wheres])


def _condition(option: str, where: Any) -> _Condition:
    advice = f'{option} takes a function, or such as {{"tags": ["pets"], "methods": ["GET"], "paths": ["/pets/*"]}}'
    if not isinstance(where, Mapping) or not where or not where.keys() <= InCommon.__optional_keys__:
        raise TypeError(f"{advice}; there are tags, methods, paths and ids")
    if any(isinstance(values, str) for values in where.values()):
        raise TypeError(f"{advice}; each of them is a list")
    lists = {name: tuple(where[name]) if name in where else None for name in ("tags", "methods", "paths", "ids")}
    methods = None if lists["methods"] is None else frozenset(one.upper() for one in lists["methods"])
    tags = None if lists["tags"] is None else frozenset(lists["tags"])
    return _Condition(tags, methods, lists["paths"], lists["ids"], repr(dict(where)))


@dataclass(slots=True)
class ScopeRule:
    """What `tool_scopes` says."""

    given: ToolScopes
    _used: set[str] = field(default_factory=set, init=False)

    def scopes_of(self, operation: DescribedOperation) -> Scopes:
        """Return what the tool for an operation needs; raises UnmatchedSelection if a mapping does not say."""
        given = self.given
        if callable(given):
            return given(operation)
        if not isinstance(given, Mapping):
            return given
        keys = [key for key in (operation.method, *(_TAG + tag for tag in operation.tags)) if key in given]
        if not keys and EVERY_OTHER in given:
            keys = [EVERY_OTHER]
        if not keys:
            raise UnmatchedSelection(
                f'tool_scopes says nothing of {operation}; add what every other operation needs, such as "*": []'
            )
        self._used.update(keys)
        return all_of(*(need for key in keys for need in _listed(key, given[key])))

    def check(self) -> None:
        """Raise UnmatchedSelection if something of a mapping is of no use."""
        if not isinstance(self.given, Mapping):
            return
        for key in self.given:
            if key not in self._used and key != EVERY_OTHER:
                if key not in _METHODS and not key.startswith(_TAG):
                    raise UnmatchedSelection(
                        f'tool_scopes has {key!r}; its keys are methods ("GET"), tags ("tag:pets") and "*" for the rest'
                    )
                raise UnmatchedSelection(f"tool_scopes has {key!r}, which fits no operation that becomes a tool")


def _listed(key: str, scopes: Scopes) -> Scopes:
    if isinstance(scopes, str):
        raise TypeError(f"tool_scopes takes lists; write {key!r}: [{scopes!r}]")
    return [scopes] if isinstance(scopes, ScopeNeeds) else scopes
