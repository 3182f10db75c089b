"""Changes that clients want to hear of, and the bus that carries them to whoever tells them.

A `Server` publishes on its bus: when something is added at run time, and when the author says that a resource changed.
Subscriptions of the modern era and sessions of the handshake era listen. The bus here serves one process. One that
connects several publishes to all of them; a change is small, JSON-able and harmless to lose or to repeat, since it only
says that it is worth while to look again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

ChangeKind = Literal["tools", "prompts", "resources", "resource"]
"""A list that changed, or the one resource that did."""

Listener = Callable[["Change"], None]


@dataclass(frozen=True, slots=True)
class Change:
    """Something is not as it was."""

    kind: ChangeKind
    scopes: frozenset[str] = frozenset()
    """What a caller has to have been granted to know of it: the scopes of what was added or changed."""
    uri: str | None = None
    """Which resource, for that kind."""


class ChangeBus(Protocol):
    """Carries changes from those who make them to those who tell of them."""

    def publish(self, change: Change) -> None:
        """Tell every listener. From any thread; returns at once and raises nothing."""
        ...

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have a listener told of every change from now on, in whatever thread; it must not block.

        Returns:
            What ends that.
        """
        ...


class LocalChanges:
    """The bus of one process: listeners are called where the change is published."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._changing = threading.Lock()

    def publish(self, change: Change) -> None:
        """Call every listener; see `ChangeBus.publish`."""
        for listener in self._listeners:
            listener(change)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; see `ChangeBus.listen`."""
        with self._changing:
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            with self._changing:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return stop
