"""The change bus: what changes at run time, for those who notify clients of it.

A `Server` publishes on its bus: when something is added at run time, and when the author says that a resource changed.
Subscriptions of the modern era and sessions of the handshake era listen. The bus here serves one process, and `sync`
carries changes between the buses of several. A change is small, JSON-able and harmless to lose or to repeat, since it
only says that it is worth while to read again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from gatepost.late_dataclass import dataclass

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
    """Which resource, for that kind, in the normal form of its URI (`protocol.uris`)."""

    def notification(self, watched: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """Return the method and the parameters of the notification that a client gets.

        `watched` says how the client spells the URIs that it watches, by their normal form: it hears of a resource
        under the name that it knows.
        """
        if self.uri is not None:
            return "notifications/resources/updated", {"uri": watched[self.uri]}
        return f"notifications/{self.kind}/list_changed", {}


class ChangeBus(Protocol):
    """Carries changes from those who make them to those who notify clients."""

    def publish(self, change: Change) -> None:
        """Notify every listener. From any thread; returns at once and raises nothing."""
        ...

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have a listener called for every change from now on, in whatever thread, until what this returns is called.

        It must not block.
        """
        ...


def listen_in_loop(changes: ChangeBus, listener: Listener) -> Callable[[], None]:
    """Have a listener called in the running event loop, wherever a change is published; as `ChangeBus.listen`."""
    loop = asyncio.get_running_loop()

    def on_change(change: Change) -> None:
        # A loop that is over has nobody to notify.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(listener, change)

    return changes.listen(on_change)


class LocalChanges:
    """The bus of one process: listeners are called where the change is published."""

    def __init__(self) -> None:
        self._listeners: tuple[tuple[Listener, bool], ...] = ()  # and whether it is for this process's changes alone
        self._lock = threading.Lock()

    def publish(self, change: Change) -> None:
        for listener, _ in self._listeners:
            listener(change)

    def deliver(self, change: Change) -> None:
        """Call the listeners for a change that was published in another process."""
        for listener, is_for_own in self._listeners:
            if not is_for_own:
                listener(change)

    def listen(self, listener: Listener, *, is_for_own: bool = False) -> Callable[[], None]:
        """Add a listener; one `is_for_own` changes is not called for those that were published elsewhere."""
        entry = (listener, is_for_own)
        with self._lock:
            self._listeners = (*self._listeners, entry)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not entry)

        return stop
