"""What changes at run time, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from gatepost.stores.contract.changes import LoggedChange


class MemoryChangeStore:
    """`ChangeStore` in memory."""

    def __init__(self) -> None:
        self._topics: dict[str, dict[str, tuple[LoggedChange, int]]] = {}  # in the order of their numbers

    async def append_changes(self, topic: str, changes: Sequence[str], *, origin: str, now: int) -> None:
        """See `ChangeStore.append_changes`."""
        noted = self._topics.setdefault(topic, {})
        number = await self.last_change(topic)
        for change in changes:
            number += 1
            noted.pop(change, None)
            noted[change] = (LoggedChange(number, change, origin), now)

    async def changes_after(self, topic: str, number: int, *, limit: int) -> list[LoggedChange]:
        """See `ChangeStore.changes_after`."""
        noted = self._topics.get(topic, {}).values()
        return list(islice((one for one, _ in noted if one.number > number), limit))

    async def last_change(self, topic: str) -> int:
        """See `ChangeStore.last_change`."""
        return max((one.number for one, _ in self._topics.get(topic, {}).values()), default=0)

    async def delete_changes(self, *, before: int, limit: int) -> int:
        """See `ChangeStore.delete_changes`."""
        over = [
            (noted, change)
            for noted in self._topics.values()
            for change, (_, noted_at) in tuple(noted.items())[:-1]
            if noted_at <= before
        ]
        for noted, change in over[:limit]:
            del noted[change]
        return len(over[:limit])
