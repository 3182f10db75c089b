"""The requests of sessions that are being served here, and how word of them comes in from other processes.

What a client takes back, a session that ends, and a stream that is taken up may reach another process than the one that
serves the request. That one looks into the store every now and then: once for all of its sessions, only while something
runs, and only for what was running at the look before. A request that is answered sooner costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

import orjson

from gatepost.protocol.errors import RequestId
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpCancellationStore, McpSession

CANCELLATION_SECONDS: Final = 30
"""How long a cancellation waits for its request, or for who serves it to hear of it."""
MOST_CANCELLATIONS: Final = 100
"""How many cancellations of one session wait at a time."""
MOST_ID_BYTES: Final = 1024
"""The longest id of a request, as JSON, that other processes are told."""
_AT_ONCE: Final = 100  # sessions per look into the store, so that others get at it in between

logger = logging.getLogger("gatepost.mcp")


class Run(Protocol):
    """A request that is being served."""

    session: McpSession
    is_watched: bool

    @property
    def request_id(self) -> RequestId:
        """The client's name for it."""

    def cancel(self) -> None:
        """Stop it."""


class RunningRequests:
    """The requests that are being served here.

    Args:
        cancellations: where processes leave each other word of what was cancelled.
        in_use: has a session live on because something runs in it, and returns it as it is then.
        end: stops here whatever goes on in a session that is over.
        let_go: ends the HTTP responses of these sessions whose streams are carried elsewhere.
        now: the time, whole seconds UTC.
        poll_seconds: how often one looks.
    """

    def __init__(
        self,
        *,
        cancellations: McpCancellationStore,
        in_use: Callable[[McpSession], Awaitable[McpSession]],
        end: Callable[[bytes], None],
        let_go: Callable[[Collection[bytes]], Awaitable[None]],
        now: Callable[[], int],
        poll_seconds: float,
    ) -> None:
        self._cancellations = cancellations
        self._in_use = in_use
        self._end = end
        self._let_go = let_go
        self._now = now
        self._poll_seconds = poll_seconds
        self._runs: dict[tuple[bytes, RequestId], set[Run]] = {}
        self._watching: asyncio.Task[None] | None = None

    def add(self, run: Run) -> None:
        """Have a request stopped when it is cancelled, from now on. Clients may use one id twice; both are it then."""
        self._runs.setdefault((run.session.session_fingerprint, run.request_id), set()).add(run)
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def remove(self, run: Run) -> None:
        """Forget a request: it has been served."""
        key = (run.session.session_fingerprint, run.request_id)
        self._runs[key].discard(run)
        if not self._runs[key]:
            del self._runs[key]

    async def cancel(self, session: McpSession, request_id: RequestId) -> None:
        """Stop a request of the session, here or wherever it is being served.

        One that comes only after its cancellation is stopped as well, unless it is answered at once.

        Raises:
            StoreUnavailable: it is not served here, and others cannot be told.
        """
        key = session.session_fingerprint
        if self._cancel(key, request_id):
            return
        known_as = orjson.dumps(request_id)
        if len(known_as) <= MOST_ID_BYTES:
            now = self._now()
            await self._cancellations.cancel_request(
                key, known_as.decode(), now=now, expires_at=now + CANCELLATION_SECONDS, most=MOST_CANCELLATIONS
            )

    def stop(self, key: bytes) -> None:
        """Stop all that is being served here of a session."""
        for owner, request_id in tuple(self._runs):
            if owner == key:
                self._cancel(key, request_id)

    def _cancel(self, key: bytes, request_id: RequestId) -> bool:
        runs = tuple(self._runs.get((key, request_id), ()))
        for run in runs:
            run.cancel()
        return bool(runs)

    async def _watch(self) -> None:
        """Look for word from other processes, until nothing runs."""
        is_failing = False
        try:
            while self._runs:
                await asyncio.sleep(self._poll_seconds)
                watched = self._seen_before()
                try:
                    for start in range(0, len(watched), _AT_ONCE):
                        await self._look(dict(watched[start : start + _AT_ONCE]))
                except StoreUnavailable:
                    if not is_failing:
                        logger.warning("what was cancelled in other processes cannot be looked up")
                    is_failing = True
                else:
                    is_failing = False
        finally:
            self._watching = None

    def _seen_before(self) -> Sequence[tuple[bytes, list[Run]]]:
        """Return what was running at the look before, by session."""
        seen: dict[bytes, list[Run]] = {}
        for (key, _), runs in self._runs.items():
            for run in runs:
                if run.is_watched:
                    seen.setdefault(key, []).append(run)
                run.is_watched = True
        return tuple(seen.items())

    async def _look(self, watched: Mapping[bytes, Sequence[Run]]) -> None:
        # What runs uses its session, and keeps it alive as each of the client's requests does.
        for runs in watched.values():
            session = await self._in_use(max((run.session for run in runs), key=lambda session: session.expires_at))
            for run in runs:
                run.session = session
        cancelled = await self._cancellations.cancelled_requests(tuple(watched), now=self._now())
        for key in watched:
            if key not in cancelled:
                self._end(key)
            for request_id in cancelled.get(key, ()):
                self._cancel(key, orjson.loads(request_id))
        await self._let_go(watched.keys())
