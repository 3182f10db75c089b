"""The registry of a server: what it offers, its own and what it includes, and what of that is off at the moment.

What a registry includes of another one is in both, under the name that it has in each. Whatever changes is passed on
upwards, so that nobody has to look downwards while a request is served.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeVar

from gatepost.late_dataclass import dataclass
from gatepost.protocol.uris import normal_form
from gatepost.server.changes.bus import Change, ChangeBus, ChangeKind
from gatepost.server.declared.declaration import Declaration, Origin
from gatepost.server.declared.prompts import Prompt
from gatepost.server.declared.resources import Resource
from gatepost.server.declared.signature import describe_function
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.extension import Extension, check_extension

if TYPE_CHECKING:
    from gatepost.server.calls.around import Hook

D = TypeVar("D", bound=Declaration)

Kind = Literal["tool", "resource", "prompt"]

_LISTS: Final[Mapping[str, ChangeKind]] = {"tool": "tools", "resource": "resources", "prompt": "prompts"}
_MOST_NAMED: Final = 3
_LONGEST_NAME: Final = 128
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LOCK: Final = RLock()
"""Held while something changes anywhere, which may be in any thread; it seldom does."""


class Home(Protocol):
    """The server that a registry is of."""

    name: str
    changes: ChangeBus

    @property
    def state(self) -> Mapping[str, Any]:
        """What its lifespan yielded."""
        ...


@dataclass(slots=True, eq=False)
class Shelf(Generic[D]):
    """The declarations of one kind, in the order in which they were added."""

    kind: Kind
    known: dict[str, D] = field(default_factory=dict, init=False)
    """All of them, by name, by URI in its normal form (`protocol.uris`), or by the text of a template."""
    there: dict[str, D] = field(init=False)
    """Those that callers find: all that are on. Another object after each switch, so a reader sees one state."""
    off: set[str] = field(default_factory=set, init=False)
    """The keys of those that are switched off here."""
    off_below: set[str] = field(default_factory=set, init=False)
    """The keys of those that are off in the server they come from."""

    def __post_init__(self) -> None:
        """Begin with nothing switched off, where both are one."""
        self.there = self.known

    @property
    def list_kind(self) -> ChangeKind:
        """Which list changes with it."""
        return _LISTS[self.kind]

    def listed(self) -> Iterable[D]:
        """Return those that callers find now, in order."""
        return self.there.values()

    def add(self, key: str, declaration: D) -> None:
        """Add one, which is on; its key is none that is known."""
        self.known[key] = declaration
        if self.there is not self.known:
            self.there[key] = declaration

    def remove(self, key: str) -> None:
        """Remove one, which is known, on or off."""
        self.known = {other: declaration for other, declaration in self.known.items() if other != key}
        self.off.discard(key)
        self.off_below.discard(key)
        self._settle()

    def switch(self, key: str, *, on: bool, below: bool = False) -> bool:
        """Switch one on or off, here or below; False when it was so already."""
        off = self.off_below if below else self.off
        if on != (key in off):
            return False
        (off.discard if on else off.add)(key)
        self._settle()
        return True

    def _settle(self) -> None:
        kept = {key: declaration for key, declaration in self.known.items() if self.is_on(key)}
        self.there = self.known if len(kept) == len(self.known) else kept

    def is_on(self, key: str) -> bool:
        """Say whether callers find it."""
        return key not in self.off and key not in self.off_below


@dataclass(slots=True, eq=False)
class Registry:
    """What one server offers."""

    home: Home
    tools: Shelf[Tool] = field(default_factory=lambda: Shelf("tool"), init=False)
    resources: Shelf[Resource] = field(default_factory=lambda: Shelf("resource"), init=False)
    resource_templates: Shelf[Resource] = field(default_factory=lambda: Shelf("resource"), init=False)
    prompts: Shelf[Prompt] = field(default_factory=lambda: Shelf("prompt"), init=False)
    generation: int = field(default=0, init=False)
    """Grows with every change: what was computed from a list is stale when it differs."""
    hooks: tuple[Hook, ...] = field(default=(), init=False)
    """What is done around every call, the outermost first."""
    is_hooked: bool = field(default=False, init=False)
    """Whether there are hooks, here or in what is included."""
    extensions: tuple[Extension, ...] = field(default=(), init=False)
    """Those that the server uses; another object after each change."""
    included: list[Registry] = field(default_factory=list, init=False)
    _including: list[tuple[Registry, str]] = field(default_factory=list, init=False)
    """Those that include this one, each with what the names of this one begin with there."""

    @property
    def state(self) -> Mapping[str, Any]:
        """What the server's lifespan yielded."""
        return self.home.state

    @property
    def shelves(self) -> tuple[Shelf[Any], ...]:
        """All four."""
        return self.tools, self.resources, self.resource_templates, self.prompts

    def declarations(self) -> Iterator[Declaration]:
        """Yield everything, also what is switched off."""
        for shelf in self.shelves:
            yield from shelf.known.values()

    def add(self, declaration: D, shelf: Shelf[D], key: str) -> D:
        """Add a declaration; raises ToolDefinitionError if its key is taken, here or where this is included."""
        with _LOCK:
            number = self.shelves.index(shelf)
            if (clash := self.clash(number, key)) is not None:
                advice = "" if shelf.kind == "resource" else "; give this one another name="
                raise ToolDefinitionError(f"{describe_function(declaration.func)}: {clash}{advice}")
            self._place(number, key, declaration)
        self.publish(Change(shelf.list_kind, declaration.scopes))
        return declaration

    def discard(self, shelf: Shelf[Any], key: str) -> None:
        """Remove a declaration, here and wherever this is included; raises KeyError if there is none of this key."""
        with _LOCK:
            scopes = shelf.known[key].scopes
            self.remove(self.shelves.index(shelf), key)
        self.publish(Change(shelf.list_kind, scopes))

    def switch(self, name: str, kind: Kind | None, *, on: bool) -> None:
        """Switch on or off what goes by a name; raises LookupError if nothing does."""
        with _LOCK:
            found = self._find(name, kind)
            if not found:
                raise LookupError(f"the server {self.home.name!r} has no {kind or 'tool, resource or prompt'} {name!r}")
            changed = [
                Change(self.shelves[number].list_kind, self.shelves[number].known[key].scopes)
                for number, key in found
                if self.set_on(number, key, on=on)
            ]
        for change in changed:
            self.publish(change)

    def around(self, hook: Hook) -> None:
        """Add a hook, inside of those that there are; raises ToolDefinitionError if it does not take the two."""
        try:
            inspect.signature(hook).bind(None, None)
        except (TypeError, ValueError):
            raise ToolDefinitionError(
                f"{describe_function(hook)}: what is done around calls takes (call, call_next)"
            ) from None
        with _LOCK:
            self.hooks = (*self.hooks, hook)
            self.mark_hooked()

    def use(self, extension: Extension, prefix: str = "") -> Extension:
        """Use an extension, here and wherever this is included, and return it, or the one there is, which takes it in.

        Args:
            extension: with an identifier of its own.
            prefix: what the names of the server that it comes from begin with here.

        Raises:
            ToolDefinitionError: it cannot be one.
        """
        check_extension(extension)
        with _LOCK:
            used = next((each for each in self.extensions if each.identifier == extension.identifier), None)
            if used is None:
                used = extension
                self.extensions = (*self.extensions, extension)
            elif used is not extension:
                used.include(extension, prefix)
            for above, outer in self._including:
                above.use(extension, outer + prefix)
        return used

    def include(self, other: Registry, prefix: str) -> None:
        """Have everything of another registry here too, under names that begin with `prefix`, and what it adds later.

        Raises ToolDefinitionError if a name is taken, or one of the servers is here already.
        """
        with _LOCK:
            self._check(other, prefix)
            self.included.append(other)
            other._including.append((self, prefix))
            for number, shelf in enumerate(other.shelves):
                for key, declaration in shelf.known.items():
                    self.adopt(other, number, key, declaration, prefix)
                    if not shelf.is_on(key):
                        self.set_on(number, _key(number, prefix, key), on=False, below=True)
            if other.is_hooked:
                self.mark_hooked()
            for extension in other.extensions:
                self.use(extension, prefix)
        for list_kind in {shelf.list_kind for shelf in other.shelves if shelf.known}:
            self.publish(Change(list_kind))

    def publish(self, change: Change) -> None:
        """Publish a change here and wherever this is included."""
        self.home.changes.publish(change)
        for above, _ in self._including:
            above.publish(change)

    def above(self) -> Iterator[Registry]:
        """Yield this one and all that include it."""
        yield self
        for above, _ in self._including:
            yield from above.above()

    def below(self) -> Iterator[Registry]:
        """Yield this one and all that it includes."""
        yield self
        for included in self.included:
            yield from included.below()

    def _check(self, other: Registry, prefix: str) -> None:
        names = f"{self.home.name!r} cannot include {other.home.name!r}"
        if self in other.below():
            raise ToolDefinitionError(f"{names}: it would include itself")
        coming = set(other.below())
        if any(coming & set(above.below()) for above in self.above()):
            raise ToolDefinitionError(
                f"{names}: that, or what it includes, is included already; make another Server of it"
            )
        clashes = [
            clash
            for number, shelf in enumerate(other.shelves)
            for key in shelf.known
            if (clash := self.clash(number, _key(number, prefix, key))) is not None
        ]
        if clashes:
            more = f", and {len(clashes) - _MOST_NAMED} more" if len(clashes) > _MOST_NAMED else ""
            advice = "give them other names or URIs, or say another prefix="
            raise ToolDefinitionError(f"{names}: {', '.join(clashes[:_MOST_NAMED])}{more}; {advice}")

    def clash(self, number: int, key: str) -> str | None:
        """Return what speaks against this key; None if nothing does."""
        shelf = self.shelves[number]
        if key in shelf.known:
            where = f" in {self.home.name!r}" if self.included or self._including else ""
            return f"there is a {shelf.kind} {key!r} already{where}"
        if not _is_resource(number) and len(key) > _LONGEST_NAME:
            return f"{key!r} has more than {_LONGEST_NAME} characters"
        found = (above.clash(number, _key(number, prefix, key)) for above, prefix in self._including)
        return next((clash for clash in found if clash is not None), None)

    def _place(self, number: int, key: str, declaration: Declaration) -> None:
        self.shelves[number].add(key, declaration)
        self.generation += 1
        for above, prefix in self._including:
            above.adopt(self, number, key, declaration, prefix)

    def adopt(self, origin: Registry, number: int, key: str, declaration: Declaration, prefix: str) -> None:
        """Have a declaration of an included registry here, too."""
        name = declaration.name if _is_resource(number) else prefix + declaration.name
        self._place(number, _key(number, prefix, key), declaration.included(name, Origin(origin, declaration)))

    def set_on(self, number: int, key: str, *, on: bool, below: bool = False) -> bool:
        """Switch something on or off here, or because it is so in the server it comes from; False if it was so."""
        shelf = self.shelves[number]
        is_changed = shelf.switch(key, on=on, below=below)
        self.generation += 1
        for above, prefix in self._including:
            above.set_on(number, _key(number, prefix, key), on=shelf.is_on(key), below=True)
        return is_changed

    def remove(self, number: int, key: str) -> None:
        """Remove something here, because it is gone, or gone from the server it comes from."""
        self.shelves[number].remove(key)
        self.generation += 1
        for above, prefix in self._including:
            above.remove(number, _key(number, prefix, key))

    def mark_hooked(self) -> None:
        """Note that there are hooks, here and wherever this is included."""
        self.is_hooked = True
        for above, _ in self._including:
            above.mark_hooked()

    def _find(self, name: str, kind: Kind | None) -> list[tuple[int, str]]:
        """Return what goes by a name, a URI in any spelling, or a template's text: on which shelf, under which key."""
        keys = (name, normal_form(name) or name, name, name)
        return [
            (number, key)
            for number, (shelf, key) in enumerate(zip(self.shelves, keys, strict=True))
            if key in shelf.known and kind in {None, shelf.kind}
        ]


def prefix_of(prefix: str | None) -> str:
    """Return what the names of an included server begin with; raises ToolDefinitionError if they cannot."""
    if prefix is not None and not _PREFIX.fullmatch(prefix):
        raise ToolDefinitionError(f"{prefix!r} is no prefix of names, which has letters, digits, _ and - only")
    return "" if prefix is None else f"{prefix}_"


def _is_resource(number: int) -> bool:
    return number in {1, 2}


def _key(number: int, prefix: str, key: str) -> str:
    """Return the key that one of an included server has where it is included: URIs stay what they are."""
    return key if _is_resource(number) else prefix + key
