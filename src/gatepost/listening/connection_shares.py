"""Shares of the connections: whoever asks nothing that a token answers for cannot hold all of them.

Silence costs its sender nothing, so without shares one address could hold every connection. Nobody is known before the
first request, so connections are counted by address, and those apart whose latest request carried a token that
verified: behind them is somebody who can be shut out. What has to make room is the connection that has been silent for
the longest time, never one whose request is being answered, unless its client does not take the answer.

The proxies that the operator trusts stand for many clients, and a peer on a Unix socket is one: both are exempt.
Counting takes place where a connection begins and ends, and costs a request nothing.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gatepost.listening.fast_path import UvicornFastPath
from gatepost.listening.slow_readers import WatchedConnection
from gatepost.web.site.client_address import ClientAddresses, limit_key
from gatepost.web.site.plain_answers import FAST_PATH

_LEAST_SHARE: Final = 64
_PAUSE_SECONDS: Final = 1.0
"""After looking for silent connections in vain."""
_TOLD_SECONDS: Final = 60.0
"""So often the log says that connections are refused."""
_WORDS: Final = b"This server has no connection left for your address. Try again in a few seconds.\n"
_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 5\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_WORDS), _WORDS)
)

logger = logging.getLogger("gatepost.web")


class ConnectionShares:
    """The connections of one server, by the address that limits count under.

    Args:
        capacity: how many connections there may be.
        addresses: knows the proxies that are trusted.
    """

    def __init__(self, capacity: int, addresses: ClientAddresses) -> None:
        self._capacity = capacity
        self._share = max(_LEAST_SHARE, capacity // 10)
        self._crowded = capacity * 8 // 10
        self._at_a_time = max(1, capacity // 100)
        """All of them are looked through for those that have to make room, so it is done for several at once."""
        self._addresses = addresses
        self._held: dict[str | None, dict[SharingConnection, None]] = {}
        self._free: dict[str, int] = {}
        """By address, how many more fit for certain; then those of the address are looked through again."""
        self._count = 0
        self._vain_until = self._told_until = 0.0

    def admit(self, connection: SharingConnection) -> bool:
        """Count a new connection, after others have made room where they have to; False when there is none."""
        key = connection.share_key = self._key(connection.client)
        now = connection.loop.time()
        if self._count >= self._crowded:
            self._make_room(now)
        if self._count >= self._capacity or (key is not None and not self._takes_of_share(key)):
            if now >= self._told_until:
                self._told_until = now + _TOLD_SECONDS
                logger.warning("connections are refused; %s of %s are in use", self._count, self._capacity)
            return False
        self._held.setdefault(key, {})[connection] = None
        self._count += 1
        return True

    def forget(self, connection: SharingConnection) -> None:
        """Count a connection no more; forgetting twice is fine."""
        key = connection.share_key
        held = self._held.get(key, {})
        if connection in held:
            del held[connection]
            self._count -= 1
            if not held:
                del self._held[key]
                self._free.pop(key or "", None)

    def _key(self, peer: tuple[str, int] | None) -> str | None:
        """Return what a peer is counted under; None for one that is exempt."""
        return None if peer is None or self._addresses.trusts(peer[0]) else limit_key(peer[0])

    def _takes_of_share(self, key: str) -> bool:
        """Take one of what an address may have; False when all of that is being answered."""
        free = self._free.get(key, self._share)
        if free == 0:
            unverified = _unverified(self._held.get(key, ()))
            free = self._share - len(unverified)
            if free <= 0:
                silent = _by_silence(unverified)
                free += self._close(silent[-max(1, self._share // _LEAST_SHARE) + free :])
        self._free[key] = max(0, free - 1)
        return free > 0

    def _make_room(self, now: float) -> None:
        """Close connections of the addresses that have most of those that no token answers for."""
        if now < self._vain_until:
            return
        # An address has no more of those than it has connections, so it is looked through when its turn comes.
        crowds: list[tuple[int, int, str, list[SharingConnection] | None]]
        crowds = [(-len(held), number, key, None) for number, (key, held) in enumerate(self._held.items()) if key]
        heapq.heapify(crowds)
        closed: list[SharingConnection] = []
        while crowds and len(closed) < self._at_a_time:
            size, number, key, silent = crowds[0]
            if silent is None:
                unverified = _unverified(self._held[key])
                size, silent = -len(unverified), _by_silence(unverified)
            else:
                closed.append(silent.pop())
                size += 1
            if silent:
                heapq.heapreplace(crowds, (size, number, key, silent))
            else:
                heapq.heappop(crowds)
        if not self._close(closed):
            self._vain_until = now + _PAUSE_SECONDS

    def _close(self, connections: list[SharingConnection]) -> int:
        """Close connections, and return how many."""
        for connection in connections:
            logger.debug("a silent connection makes room")
            self.forget(connection)
            connection.transport.close()
            if connection.transport.get_write_buffer_size():
                # It would stay, and count no more, for as long as its client takes a little now and then.
                connection.transport.abort()
        return len(connections)


class SharingConnection(WatchedConnection):
    """uvicorn's connection, of which every address has its share."""

    shares: ClassVar[ConnectionShares | None] = None
    """None where there is no limit."""
    share_key: str | None = None
    leave: ClassVar[staticmethod[[], None]] = staticmethod(lambda: None)
    """Is told when a connection is over."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a place among the connections, or refuse this one."""
        super().connection_made(transport)
        if self.shares is not None and not self.shares.admit(self):
            self.transport.write(_REFUSAL)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the place."""
        if self.shares is not None:
            self.shares.forget(self)
        self.leave()
        super().connection_lost(exc)

    def is_verified(self) -> bool:
        """Say whether the latest request carried a token that verified."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first
        if cycle is None:
            return False
        fast_path: UvicornFastPath | None = cast("dict[str, Any]", cycle.scope).get(FAST_PATH)
        return fast_path is not None and fast_path.is_verified

    def silent_since(self) -> float | None:
        """Return since when the client has been awaited, by the loop's clock; None while something is answered.

        It is awaited where no request is under way, where the rest of one is missing and nothing else is due, and where
        it does not read: pipelining makes an answer that nobody takes out of any short ones.
        """
        cycle: RequestResponseCycle | None = self.cycle  # None before the first
        is_due = cycle is not None and not (cycle.response_complete or (cycle.more_body and not cycle.response_started))
        if is_due or not all(earlier.response_complete for earlier in self._earlier):
            return None if self._check is None else self._check.when() - self.check_seconds
        if self._deadline is not None:
            return self._deadline.when() - self.send_seconds
        return self.idle_since


def sharing(
    capacity: int, trusted_proxies: Iterable[str], *, on_leave: Callable[[], None] = lambda: None
) -> type[SharingConnection]:
    """Return the connections of one server.

    Args:
        capacity: how many there may be.
        trusted_proxies: address ranges that are exempt from shares.
        on_leave: is told when a connection is over, whether it had a place or not.
    """
    addresses = ClientAddresses(tuple(trusted_proxies))

    class OfOneServer(SharingConnection):
        shares = ConnectionShares(capacity, addresses)
        leave = staticmethod(on_leave)

    return OfOneServer


def _unverified(held: Iterable[SharingConnection]) -> list[SharingConnection]:
    return [connection for connection in held if not connection.is_verified()]


def _by_silence(connections: Iterable[SharingConnection]) -> list[SharingConnection]:
    """Return those that are silent, the one that has been so for the longest time last."""
    since = [(moment, connection) for connection in connections if (moment := connection.silent_since()) is not None]
    since.sort(key=lambda each: -each[0])
    return [connection for _, connection in since]
