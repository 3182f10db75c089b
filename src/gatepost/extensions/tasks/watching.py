"""Who listens to tasks here: `taskIds` in `subscriptions/listen` (ext-tasks, "Task Status Notifications")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import field
from functools import partial
from typing import Any, Final

from gatepost.extensions.tasks import wire
from gatepost.late_dataclass import dataclass
from gatepost.server.extension import Tell
from gatepost.stores.contract.tasks import TaskView

MOST_IDS: Final = 100
"""Tasks that one subscription listens to."""


@dataclass(slots=True, eq=False)
class Watches:
    """Those of all subscriptions."""

    on_first: Callable[[], None]
    """Called when the first one comes."""
    _by_key: dict[bytes, set[TaskWatch]] = field(default_factory=dict, init=False)
    seen: dict[bytes, int] = field(default_factory=dict, init=False)
    """The version of each task that is listened to, as far as it is known here."""

    def __len__(self) -> int:
        """Return how many tasks are listened to."""
        return len(self._by_key)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The tasks that are listened to."""
        return tuple(self._by_key)

    def add(self, key: bytes, watch: TaskWatch) -> None:
        """Have a watch told of a task."""
        if not self._by_key:
            self.on_first()
        self._by_key.setdefault(key, set()).add(watch)

    def remove(self, key: bytes, watch: TaskWatch) -> None:
        """Have a watch told of it no more."""
        watching = self._by_key.get(key, set())
        watching.discard(watch)
        if not watching:
            self._by_key.pop(key, None)
            self.seen.pop(key, None)

    def changed(self, key: bytes) -> None:
        """Have those told who listen to this task; it may be as it was. In the event loop."""
        for watch in self._by_key.get(key, ()):
            watch.offer(key)

    def note_versions(self, versions: Mapping[bytes, int]) -> None:
        """Have those told whose tasks have another version than before."""
        for key, version in versions.items():
            if key in self._by_key and self.seen.get(key) != version:
                self.seen[key] = version
                self.changed(key)


@dataclass(slots=True, eq=False)
class TaskWatch:
    """The tasks of one subscription."""

    watches: Watches
    ids: Mapping[bytes, str]
    """As the client has them, by their fingerprints."""
    find: Callable[[str], Awaitable[TaskView | None]]
    """Returns a task as it is, if the client may still know of it."""
    _offer: Callable[[Hashable, Tell], None] | None = field(default=None, init=False)
    _told: dict[bytes, int] = field(default_factory=dict, init=False)
    """The version that the client was told of last."""

    @property
    def honoured(self) -> Mapping[str, Any]:
        """Which tasks it is told of."""
        return {"taskIds": list(self.ids.values())} if self.ids else {}

    def begin(self, offer: Callable[[Hashable, Tell], None]) -> None:
        """Tell how it is with each of them, since that may have changed before anybody listened, and of each change."""
        self._offer = offer
        for key in self.ids:
            self.watches.add(key, self)
            self.offer(key)

    def leave(self) -> None:
        """Listen no more."""
        self._offer = None
        for key in self.ids:
            self.watches.remove(key, self)

    def offer(self, key: bytes) -> None:
        """Have the client told of one."""
        if self._offer is not None:
            self._offer((wire.NOTIFICATION, key), partial(self._tell, key))

    async def _tell(self, key: bytes) -> tuple[str, dict[str, Any]] | None:
        view = await self.find(self.ids[key])
        if view is None or self._told.get(key) == view.task.version:
            return None
        self._told[key] = view.task.version
        if view.task.status.is_over:
            self.watches.remove(key, self)  # it stays so
        return wire.NOTIFICATION, wire.detailed(view, self.ids[key])
