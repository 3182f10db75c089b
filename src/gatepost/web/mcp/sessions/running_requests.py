"""The requests of sessions that are being served here, and polling for what other processes were told about them.

What a client cancels, a session that ends, and a stream that is resumed may reach another process than the one that
serves the request. That one polls the store: once for all of its sessions, only while something runs, and only for what
was running at the last poll; or at once for a session of which it hears. A request that is answered sooner costs
nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import field
from typing import Final, Protocol

import orjson

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import RequestId
from gatepost.server.calls.waiters import Pace
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpCancellationStore, McpSession

CANCELLATION_SECONDS: Final = 30
"""How long a cancellation waits for its request, or for the process that serves it."""
MOST_CANCELLATIONS: Final = 100
"""How many cancellations of one session wait at a time."""
MOST_ID_BYTES: Final = 1024
"""The longest id of a request, as JSON, that other processes are told."""
_AT_ONCE: Final = 100  # sessions per query, so that others get at the store in between

logger = logging.getLogger("gatepost.mcp")


class RunningRequest(Protocol):
    """A request that is being served."""

    record: McpSession
    request_id: RequestId
    is_watched: bool

    def cancel(self) -> None:
        """Cancel it."""


@dataclass(slots=True, kw_only=True)
class RunningRequests:
    """The requests that are being served here."""

    cancellations: McpCancellationStore
    """Where processes leave each other what was cancelled."""
    in_use: Callable[[McpSession], Awaitable[McpSession]]
    """Has a session live on because something runs in it, and returns it as it is then."""
    end: Callable[[bytes], None]
    """Stops here whatever goes on in a session that is over."""
    detach_resumed: Callable[[Collection[bytes]], Awaitable[None]]
    """Ends the HTTP responses of these sessions whose streams were resumed elsewhere."""
    now: Callable[[], int]
    pace: Pace
    """How often the store is polled."""
    _requests: dict[tuple[bytes, RequestId], set[RunningRequest]] = field(default_factory=dict, init=False)
    _polling: asyncio.Task[None] | None = field(default=None, init=False)
    _named: set[bytes] = field(default_factory=set, init=False)
    """Sessions to look at without waiting for the next poll."""
    _looking: asyncio.Task[None] | None = field(default=None, init=False)

    def add(self, request: RunningRequest) -> None:
        """Have a request cancelled when its client says so, from now on. Of two with one id, both are."""
        self._requests.setdefault((request.record.session_fingerprint, request.request_id), set()).add(request)
        if self._polling is None:
            self._polling = asyncio.get_running_loop().create_task(self._poll_until_idle())

    def remove(self, request: RunningRequest) -> None:
        """Forget a request: it has been served."""
        name = (request.record.session_fingerprint, request.request_id)
        self._requests[name].discard(request)
        if not self._requests[name]:
            del self._requests[name]

    async def cancel(self, session: McpSession, request_id: RequestId) -> None:
        """Cancel a request of the session, here or wherever it is being served.

        One that comes only after its cancellation is cancelled as well, unless it is answered at once.

        Raises:
            StoreUnavailable: it is not served here, and other processes cannot be told.
        """
        key = session.session_fingerprint
        if self._cancel(key, request_id):
            return
        known_as = orjson.dumps(request_id)
        if len(known_as) <= MOST_ID_BYTES:
            now = self.now()
            await self.cancellations.cancel_request(
                key, known_as.decode(), now=now, expires_at=now + CANCELLATION_SECONDS, most=MOST_CANCELLATIONS
            )

    def stop(self, key: bytes) -> None:
        """Cancel all that is being served here of a session."""
        for owner, request_id in tuple(self._requests):
            if owner == key:
                self._cancel(key, request_id)

    def look_at(self, key: bytes) -> None:
        """Look at once what other processes were told about a session, if anything of it is being served here."""
        if any(owner == key for owner, _ in self._requests):
            self._look_soon({key})

    def look_at_all(self) -> None:
        """Look at once at every session of which something is being served here."""
        if self._requests:
            self._look_soon({owner for owner, _ in self._requests})

    def _look_soon(self, keys: Collection[bytes]) -> None:
        self._named.update(keys)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Look at the sessions that were named, and at those that are meanwhile."""
        try:
            while self._named:
                keys = [self._named.pop() for _ in range(min(_AT_ONCE, len(self._named)))]
                running: dict[bytes, list[RunningRequest]] = {}
                for (owner, _), requests in self._requests.items():
                    if owner in keys:
                        running.setdefault(owner, []).extend(requests)
                if running:
                    await self._poll(running)
        except StoreUnavailable:
            self._named.clear()  # the next poll finds it
        finally:
            self._looking = None

    def _cancel(self, key: bytes, request_id: RequestId) -> bool:
        requests = tuple(self._requests.get((key, request_id), ()))
        for request in requests:
            request.cancel()
        return bool(requests)

    async def _poll_until_idle(self) -> None:
        is_failing = False
        try:
            while self._requests:
                await asyncio.sleep(self.pace.seconds)
                watched = self._watched()
                try:
                    for start in range(0, len(watched), _AT_ONCE):
                        await self._poll(dict(watched[start : start + _AT_ONCE]))
                except StoreUnavailable:
                    if not is_failing:
                        logger.warning("what was cancelled in other processes cannot be looked up")
                    is_failing = True
                else:
                    is_failing = False
        finally:
            self._polling = None

    def _watched(self) -> Sequence[tuple[bytes, list[RunningRequest]]]:
        """Return what was running at the last poll, by session."""
        watched: dict[bytes, list[RunningRequest]] = {}
        for (key, _), requests in self._requests.items():
            for request in requests:
                if request.is_watched:
                    watched.setdefault(key, []).append(request)
                request.is_watched = True
        return tuple(watched.items())

    async def _poll(self, watched: Mapping[bytes, Sequence[RunningRequest]]) -> None:
        # What runs uses its session, and keeps it alive as each of the client's requests does.
        for requests in watched.values():
            latest = max((request.record for request in requests), key=lambda record: record.expires_at)
            record = await self.in_use(latest)
            for request in requests:
                request.record = record
        cancelled = await self.cancellations.cancelled_requests(tuple(watched), now=self.now())
        for key in watched:
            if key not in cancelled:
                self.end(key)
            for request_id in cancelled.get(key, ()):
                self._cancel(key, orjson.loads(request_id))
        await self.detach_resumed(watched.keys())
