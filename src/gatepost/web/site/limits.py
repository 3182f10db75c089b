"""Limits at the endpoints (RFC 6585 section 4): what is counted under which key, and the answer 429.

Counting has to be durable and common to all processes, and a write costs a sync of the disk. So a process takes a few
uses of a busy key ahead and remembers refusals: a flood from one address costs the store next to nothing, and an
ordinary request one write in some dozens. Of those who ask for one key at the same moment one asks the store, and the
others share what it got. What was taken ahead and not used is lost, which errs to the strict side by about a hundredth
of the limit. The MCP endpoint is not limited here and pays nothing. Record 0033 says what is counted under which key.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Final

from starlette.requests import Request

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.limits import (
    DEVICE_AUTHORIZATIONS,
    INTROSPECTIONS,
    PAGES,
    PUSHED_REQUESTS,
    REGISTRATIONS,
    TOKEN_REQUESTS,
    Rate,
    Use,
)
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.busy import goes_on_waiting
from gatepost.stores.contract.errors import StoreBusy, StoreUnavailable
from gatepost.stores.contract.limits import LimitStore
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.client_address import UNKNOWN, ClientAddresses, limit_key

_AHEAD: Final = 100
"""At most the hundredth part of a limit is taken ahead."""
_AHEAD_SECONDS: Final = 10
_MOST_REMEMBERED: Final = 10_000
"""Keys of which this process remembers something; beyond that it forgets all, and asks the store again."""


@dataclass(slots=True)
class _Remembered:
    """What this process knows of a key without asking."""

    since: int
    """Seconds UTC; before it, the clock has been set back, and nothing is known any more."""
    until: int
    """Seconds UTC."""
    uses: int
    """Left of those taken ahead; 0 means refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Counts uses and refuses those that are too many."""

    store: LimitStore
    """Where all processes count together."""
    now: Callable[[], int]
    factor: int = 1
    """What the operator multiplies every limit by; 0 switches limits off."""
    remembered: dict[str, _Remembered] = field(default_factory=dict, init=False)
    asking: dict[str, asyncio.Future[StoreBusy | None]] = field(default_factory=dict, init=False)
    """By key, done when the one who asks the store now has its answer, or has given up on a busy one."""
    _refilling: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Held while what is remembered changes: grants are judged on the store's thread, too."""

    async def admit(self, key: str, rate: Rate) -> None:
        """Take one use of a key that may be busy.

        Raises:
            TooManyRequests: it is not allowed now.
            StoreUnavailable: it cannot be counted.
        """
        while not self.take_ahead(key):
            if (asking := self.asking.get(key)) is None:
                await self._ask(key, rate.times(self.factor))
                return
            busy = await asyncio.shield(asking)  # a waiter that is cancelled takes nothing from the others
            if busy is not None and not await goes_on_waiting():
                raise type(busy)(str(busy))

    def take_ahead(self, key: str) -> bool:
        """Take one use of those that were taken ahead; False where the store has to be asked. From any thread.

        Raises:
            TooManyRequests: it is not allowed now.
        """
        return self.factor == 0 or self._take_remembered(key)

    def refill(self, key: str, rate: Rate) -> None:
        """Take more ahead soon where less than half is left, for whoever has just had one.

        So those who come at once, and cannot wait for the store where they ask, find some.
        """
        known = self.remembered.get(key)
        if known is None or not 0 < known.uses < rate.uses // _AHEAD // 2 or key in self._refilling:
            return
        task = self._refilling[key] = asyncio.create_task(self._refill(key, rate.times(self.factor)))
        task.add_done_callback(lambda _: self._refilling.pop(key))

    async def _refill(self, key: str, rate: Rate) -> None:
        # Nobody waits for it; who comes later and finds none asks for themselves, and hears why not.
        if key not in self.asking:
            with contextlib.suppress(TooManyRequests, StoreUnavailable):
                await self._ask(key, rate)

    async def _ask(self, key: str, rate: Rate) -> None:
        """Take one use from the store, and some ahead if the key allows it; others wait meanwhile."""
        asking = self.asking[key] = asyncio.get_running_loop().create_future()
        busy: StoreBusy | None = None
        try:
            now = self.now()
            count = max(1, rate.uses // self.factor // _AHEAD)
            wait = await self.store.take([Use(key, rate, count)], now=now)
            if wait and count > 1:
                # Nobody is refused what is allowed because more would not be.
                count = 1
                wait = await self.store.take([Use(key, rate)], now=now)
            if wait:
                self._remember(key, _Remembered(now, now + wait, uses=0))
                raise too_many_requests(wait)
            if count > 1:
                left = self.remembered.get(key)
                count += 0 if left is None or not left.since <= now < left.until else left.uses
                self._remember(key, _Remembered(now, now + _AHEAD_SECONDS, uses=count - 1))
        except StoreBusy as error:
            busy = error
            raise
        finally:
            del self.asking[key]
            asking.set_result(busy)

    def _take_remembered(self, key: str) -> bool:
        """Take one use of those taken ahead; False when nothing is known of the key.

        Raises:
            TooManyRequests: it is known that it is not allowed now.
        """
        now = self.now()
        with self._lock:
            known = self.remembered.get(key)
            if known is None or not known.since <= now < known.until:
                return False
            if known.uses == 0:
                raise too_many_requests(known.until - now, is_first=False)
            known.uses -= 1
            if known.uses == 0:
                del self.remembered[key]
            return True

    async def admit_exactly(self, uses: Mapping[str, Rate]) -> None:
        """Take one use of each of several keys, or none; nothing is taken ahead.

        Raises:
            TooManyRequests: one of them is not allowed now.
            StoreUnavailable: they cannot be counted.
        """
        if self.factor == 0:
            return
        wait = await self.store.take(self._uses(uses), now=self.now())
        if wait:
            raise too_many_requests(wait)

    async def attempt(self, key: str, take: Callable[[], Awaitable[int]]) -> None:
        """Do what the store counts itself: `take` does it, or returns the seconds after which it could be done.

        Raises:
            TooManyRequests: it is not allowed now, or a moment ago it was not, of which `key` reminds.
            StoreUnavailable: it cannot be done.
        """
        self._take_remembered(key)
        if wait := await take():
            now = self.now()
            self._remember(key, _Remembered(now, now + min(wait, _AHEAD_SECONDS), uses=0))
            raise too_many_requests(wait)

    async def give_back(self, uses: Mapping[str, Rate]) -> None:
        """Give back one use of each of several keys, which `admit_exactly` had taken.

        Raises:
            StoreUnavailable: they cannot be given back now; they count as used then.
        """
        if self.factor != 0:
            await self.store.give_back(self._uses(uses), now=self.now())

    def _uses(self, uses: Mapping[str, Rate]) -> list[Use]:
        return [Use(key, rate.times(self.factor)) for key, rate in uses.items()]

    def _remember(self, key: str, what: _Remembered) -> None:
        with self._lock:
            if len(self.remembered) >= _MOST_REMEMBERED:
                self.remembered.clear()
            self.remembered[key] = what


@dataclass(frozen=True, slots=True)
class AddressLimit:
    """What one endpoint counts per address."""

    kind: str
    """Endpoints of one kind are counted together."""
    rate: Rate


REGISTRATION_LIMIT: Final = AddressLimit("register", REGISTRATIONS)
"""What clients do to their registrations counts like registering: each change is as much work, and leaves as much."""
PAGE_LIMIT: Final = AddressLimit("pages", PAGES)
"""`POST /oauth/login` counts for itself, together with the account (`login_throttle.py`)."""
DEVICE_LIMIT: Final = AddressLimit("device_authorization", DEVICE_AUTHORIZATIONS)
PUSHED_REQUEST_LIMIT: Final = AddressLimit("pushed_request", PUSHED_REQUESTS)
TOKEN_LIMIT: Final = AddressLimit("token", TOKEN_REQUESTS)
INTROSPECTION_LIMIT: Final = AddressLimit("introspect", INTROSPECTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressLimits:
    """Refuses an address that asks too often."""

    limits: Limits
    addresses: ClientAddresses
    audit: Audit = NO_AUDIT
    """Is told when an address begins to be refused."""

    async def admit(self, request: Request, limit: AddressLimit) -> None:
        """Count one request.

        Raises:
            TooManyRequests: it is not allowed now.
            StoreUnavailable: it cannot be counted. A store that reads and does not write must not become an unlimited
                password oracle.
        """
        # For the log, too, whatever becomes of the request.
        request.state.address = address = self.addresses.of(request.scope)
        if address == UNKNOWN:
            return
        try:
            await self.limits.admit(f"{limit.kind}:address:{limit_key(address)}", limit.rate)
        except TooManyRequests as error:
            if error.is_first:
                self.audit.note(request, AuditEvent.LIMIT, Outcome.REFUSED, reason=error.reason)
            raise


def too_many_requests(wait: int, *, is_first: bool = True) -> TooManyRequests:
    """Return the refusal of a use that is allowed again in `wait` seconds; `is_first` of a row of refusals."""
    description = f"Too many requests; try again in {wait} seconds."
    return TooManyRequests(Reason.TOO_MANY_REQUESTS, description, retry_after=wait, is_first=is_first)
