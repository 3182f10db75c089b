"""Wake-ups: what one process over a store has changed, as a hint to the others that it is worth while to look.

A store that can deliver them does so once the change is durable, and only then. They hold ids and never data: whoever
hears one looks into the store. So one that is lost or comes twice does no harm, as long as whoever waits also looks by
itself now and then; how often depends on whether wake-ups are heard.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass

_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{0,200}")


class WakeupKind(StrEnum):
    """What has changed."""

    CHANGES = "changes"
    """Something was appended to the change log."""
    ACCESS = "access"
    """Access tokens or API keys may count for less, or not at all: revoked, person disabled, role or key taken away.

    With a name: those of the grant of this id."""
    SIGNING_KEYS = "keys"
    """A signing key was added or has ended."""
    SESSION_ENDED = "ended"
    """An MCP session is over; without a session: any number of them."""
    CANCELLED = "cancelled"
    """Requests of a session were taken back by its client."""
    STREAM = "stream"
    """A stream of a session, by its name: it is attached to another connection, has an event more, or has ended."""
    RESPONSE = "response"
    """The client of a session has responded to the request of this name."""
    TASK = "task"
    """The task of this name (the fingerprint of its id, in hexadecimal digits) is another, or its client answered."""


@dataclass(frozen=True, slots=True)
class Wakeup:
    """What one process tells the others. Raises ValueError for a name that is none of our ids."""

    kind: WakeupKind
    session: bytes = b""
    """The fingerprint of the MCP session that it is about, if it is about one."""
    name: str = ""
    """Of what, within the session: letters, digits and `_.:-`, at most 200."""
    is_own: bool = False
    """Whether this process did it, where the store can tell."""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError("a wake-up names ids and nothing else")


class Wakeups(Protocol):
    """The wake-ups of a store, for a process that is open."""

    @property
    def are_heard(self) -> bool:
        """Whether they come, as far as anybody knows. While they do not, whoever waits looks more often."""

    def listening(
        self, on_wakeup: Callable[[Wakeup], None], on_gap: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """Have wake-ups heard for as long as the context lasts. Both are called in the event loop, and must not block.

        Args:
            on_wakeup: called for each. Those of the process's own changes may come or not.
            on_gap: called when some may have been missed, and when none come any more: look at everything.
        """


class NoWakeups:
    """The `Wakeups` of a store that has none: processes look by themselves."""

    are_heard: Final = False

    @asynccontextmanager
    async def listening(self, on_wakeup: Callable[[Wakeup], None], on_gap: Callable[[], None]) -> AsyncIterator[None]:
        """See `Wakeups`."""
        del on_wakeup, on_gap
        yield


NO_WAKEUPS: Final = NoWakeups()
ACCESS_TAKEN: Final = Wakeup(WakeupKind.ACCESS)
"""Somebody or something may have less access than before."""


def grant_ended(grant_id: str) -> Wakeup:
    """Return what tells that the tokens of a grant count for less, or not at all."""
    return Wakeup(WakeupKind.ACCESS, name=grant_id) if _NAME.fullmatch(grant_id) else ACCESS_TAKEN
