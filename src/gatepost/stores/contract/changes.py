"""What changes at run time, for the other processes of a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gatepost.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """The latest entry of a change."""

    number: int
    """Counts up within its topic, from 1."""
    change: str
    origin: str
    """The process that appended it."""


class ChangeStore(Protocol):
    """The change log: what changed in any process, by topic. It holds each change once, under its latest number.

    Processes poll it, by the latest numbers; where wake-ups are heard (`Wakeups`), seldom.
    """

    async def append_changes(self, topic: str, changes: Sequence[str], *, origin: str, now: int) -> None:
        """Append changes, each with a number of its own above all of the topic; one that is there gets a new one.

        Repeated: each change gets another number, so other processes hear of it twice, which means the same.
        """

    async def changes_after(self, topic: str, number: int, *, limit: int) -> list[LoggedChange]:
        """Return up to `limit` changes with a higher number, in order."""

    async def last_changes(self, topics: Sequence[str]) -> dict[str, int]:
        """Return the highest number of each of these topics; 0 for one to which nothing was ever appended."""

    async def delete_changes(self, *, before: int, limit: int) -> int:
        """Delete changes that were appended until `before`.

        The last one of each topic stays, so that numbers go on counting.
        """
