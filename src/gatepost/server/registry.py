"""The registry of a server: what it offers, by kind and key, and what of that is switched off at the moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Generic, Literal, TypeVar

from gatepost.protocol.uris import normal_form
from gatepost.server.changes.bus import ChangeKind
from gatepost.server.declared.declaration import Declaration
from gatepost.server.declared.prompts import Prompt
from gatepost.server.declared.resources import Resource
from gatepost.server.declared.tools import Tool

D = TypeVar("D", bound=Declaration)

Kind = Literal["tool", "resource", "prompt"]

_LISTS: Final[Mapping[str, ChangeKind]] = {"tool": "tools", "resource": "resources", "prompt": "prompts"}


@dataclass(slots=True, eq=False)
class Shelf(Generic[D]):
    """The declarations of one kind, in the order in which they were added."""

    kind: Kind
    known: dict[str, D] = field(default_factory=dict, init=False)
    """All of them, by name, by URI in its normal form (`protocol.uris`), or by the text of a template."""
    there: dict[str, D] = field(init=False)
    """Those that callers find: all that are on. Another object after each switch, so a reader sees one state."""
    off: set[str] = field(default_factory=set, init=False)
    """The keys of those that are switched off."""

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

    def switch(self, key: str, *, on: bool) -> bool:
        """Switch one on or off; False when it was so already."""
        if on != (key in self.off):
            return False
        (self.off.discard if on else self.off.add)(key)
        kept = {other: declaration for other, declaration in self.known.items() if other not in self.off}
        self.there = kept if self.off else self.known
        return True


@dataclass(slots=True, eq=False)
class Registry:
    """The four kinds of declarations of one server."""

    tools: Shelf[Tool] = field(default_factory=lambda: Shelf("tool"), init=False)
    resources: Shelf[Resource] = field(default_factory=lambda: Shelf("resource"), init=False)
    resource_templates: Shelf[Resource] = field(default_factory=lambda: Shelf("resource"), init=False)
    prompts: Shelf[Prompt] = field(default_factory=lambda: Shelf("prompt"), init=False)
    generation: int = field(default=0, init=False)
    """Grows with every change: what was computed from a list is stale when it differs."""
    lock: Any = field(default_factory=Lock, init=False)
    """Held while something changes, which may be in any thread."""

    @property
    def shelves(self) -> tuple[Shelf[Tool], Shelf[Resource], Shelf[Resource], Shelf[Prompt]]:
        """All four."""
        return self.tools, self.resources, self.resource_templates, self.prompts

    def find(self, name: str, kind: Kind | None) -> list[tuple[Shelf[Any], str]]:
        """Return what goes by a name, a URI in any spelling, or the text of a template: each with its key."""
        shelves: tuple[Shelf[Any], ...] = self.shelves
        keys = (name, normal_form(name) or name, name, name)
        return [
            (shelf, key)
            for shelf, key in zip(shelves, keys, strict=True)
            if key in shelf.known and kind in {None, shelf.kind}
        ]

    def declarations(self) -> Iterator[Declaration]:
        """Yield everything, also what is switched off."""
        for shelf in self.shelves:
            yield from shelf.known.values()
