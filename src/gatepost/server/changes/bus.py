"""Changes that clients want to hear of, and the bus that carries them to whoever tells them.

A `Server` publishes on its bus: when something is added at run time, and when the author says that a resource changed.
Subscriptions of the modern era and sessions of the handshake era listen. The bus here serves one process, and
`change_relay` carries changes between the buses of several. A change is small, JSON-able and harmless to lose or to
repeat, since it only says that it is worth while to look again.
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
    """The bus of one process: listeners are called where the change is published.

    A relay is a listener that carries changes to other processes, and therefore hears only of what was published here.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._relays: tuple[Listener, ...] = ()
        self._changing = threading.Lock()

    def publish(self, change: Change) -> None:
        """Call every listener; see `ChangeBus.publish`."""
        self.deliver(change)
        for relay in self._relays:
            relay(change)

    def deliver(self, change: Change) -> None:
        """Call every listener but no relay: the change was published in another process."""
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

    def connect(self, relay: Listener) -> Callable[[], None]:
        """Add a relay; as `listen` does."""
        with self._changing:
            self._relays = (*self._relays, relay)

        def stop() -> None:
            with self._changing:
                self._relays = tuple(other for other in self._relays if other is not relay)

        return stop
