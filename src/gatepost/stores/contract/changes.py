"""What changes at run time, for the other processes of a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NotedChange:
    """A change as it was noted last."""

    number: int
    """Counts up within its topic, from 1."""
    change: str
    origin: str
    """Who noted it."""


class ChangeStore(Protocol):
    """A board on which processes note what changed. It holds each change once, however often that happens.

    For backends that cannot call other processes; one that can tells them without a board.
    """

    async def note_changes(self, topic: str, changes: Sequence[str], *, origin: str, now: int) -> None:
        """Note changes, each with a number of its own above all of the topic; one that is there gets a new one."""

    async def changes_after(self, topic: str, number: int, *, limit: int) -> list[NotedChange]:
        """Return up to `limit` changes with a higher number, in order."""

    async def last_change(self, topic: str) -> int:
        """Return the topic's highest number; 0 when nothing was ever noted."""

    async def delete_changes(self, *, before: int, limit: int) -> int:
        """Delete changes that were noted until `before`.

        The last one of each topic stays, so that numbers go on counting.
        """
