"""Limits at the endpoints (RFC 6585 section 4): what is counted under which key, and the answer 429.

Counting has to be durable and common to all processes, and a write costs a sync of the disk. So a process takes a few
uses of a busy key ahead and remembers refusals: a flood from one address costs the store next to nothing, and an
ordinary request one write in some dozens. What was taken ahead and not used is lost, which errs to the strict side by
about a hundredth of the limit. The MCP endpoint is not limited here and pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.limits import INTROSPECTIONS, PAGES, REGISTRATIONS, TOKEN_REQUESTS, Rate, Use
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.limits import LimitStore
from gatepost.web.pages.rendering import Pages
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.client_address import ClientAddresses, limit_key
from gatepost.web.site.errors import log_refusal, oauth_error_response, store_unavailable

_AHEAD: Final = 100
"""At most the hundredth part of a limit is taken ahead."""
_AHEAD_SECONDS: Final = 10
_MOST_REMEMBERED: Final = 10_000
"""Keys of which this process remembers something; beyond that it forgets all, and asks the store again."""


@dataclass(slots=True)
class _Remembered:
    """What this process knows of a key without asking."""

    until: int
    """Seconds UTC."""
    uses: int
    """Left of those taken ahead; 0 means refused."""


class Limits:
    """Counts uses and refuses those that are too many.

    Args:
        store: where all processes count together.
        now: the clock, whole seconds UTC.
        factor: what the operator multiplies every limit by; 0 switches limits off.
    """

    def __init__(self, *, store: LimitStore, now: Callable[[], int], factor: int = 1) -> None:
        self._store = store
        self._now = now
        self._factor = factor
        self._remembered: dict[str, _Remembered] = {}

    async def admit(self, key: str, rate: Rate) -> None:
        """Take one use of a key that may be busy.

        Raises:
            TooManyRequests: it is not allowed now.
            StoreUnavailable: it cannot be counted.
        """
        if self._factor == 0:
            return
        now = self._now()
        known = self._remembered.get(key)
        if known is not None and known.until > now:
            if known.uses == 0:
                raise too_many_requests(known.until - now, is_first=False)
            known.uses -= 1
            if known.uses == 0:
                del self._remembered[key]
            return
        count = max(1, rate.uses // _AHEAD)
        wait = await self._store.take([Use(key, rate.times(self._factor), count)], now=now)
        if wait:
            self._remember(key, _Remembered(now + wait, uses=0))
            raise too_many_requests(wait)
        if count > 1:
            self._remember(key, _Remembered(now + _AHEAD_SECONDS, uses=count - 1))

    async def admit_exactly(self, uses: Mapping[str, Rate]) -> None:
        """Take one use of each of several keys, or none; nothing is taken ahead.

        Raises:
            TooManyRequests: one of them is not allowed now.
            StoreUnavailable: they cannot be counted.
        """
        if self._factor == 0:
            return
        taken = [Use(key, rate.times(self._factor)) for key, rate in uses.items()]
        wait = await self._store.take(taken, now=self._now())
        if wait:
            raise too_many_requests(wait)

    def _remember(self, key: str, what: _Remembered) -> None:
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = what


@dataclass(frozen=True, slots=True)
class AddressLimit:
    """What one endpoint counts per address."""

    kind: str
    """Endpoints of one kind are counted together."""
    rate: Rate


ADDRESS_LIMITS: Final[Mapping[tuple[str, str], AddressLimit]] = {
    ("POST", "/oauth/register"): AddressLimit("register", REGISTRATIONS),
    ("GET", "/oauth/authorize"): AddressLimit("pages", PAGES),
    ("GET", "/oauth/login"): AddressLimit("pages", PAGES),
    ("GET", "/oauth/setup"): AddressLimit("pages", PAGES),
    ("POST", "/oauth/setup"): AddressLimit("pages", PAGES),
    ("POST", "/oauth/token"): AddressLimit("token", TOKEN_REQUESTS),
    ("POST", "/oauth/revoke"): AddressLimit("token", TOKEN_REQUESTS),
    ("POST", "/oauth/introspect"): AddressLimit("introspect", INTROSPECTIONS),
}
"""By method and path. `POST /oauth/login` counts for itself, together with the account (`login_throttle.py`)."""
_REGISTRATION: Final = ("POST", "/oauth/register")
_REGISTRATIONS: Final = "/oauth/register/"
"""What clients do to their registrations counts like registering: each change is as much work, and leaves as much."""


class AddressLimits:
    """An ASGI layer that refuses an address that asks too often, before anything of its request is read."""

    def __init__(
        self, app: ASGIApp, *, limits: Limits, addresses: ClientAddresses, pages: Pages, audit: Audit = NO_AUDIT
    ) -> None:
        """Prepare.

        Args:
            app: what is guarded.
            limits: counts.
            addresses: says from where a request comes.
            pages: answers those who are at a page.
            audit: is told when an address begins to be refused.
        """
        self.app = app
        self._limits = limits
        self._addresses = addresses
        self._pages = pages
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request."""
        limit = _limit_of(scope)
        if limit is not None:
            key = f"{limit.kind}:address:{limit_key(self._addresses.of(scope))}"
            try:
                await self._limits.admit(key, limit.rate)
            except (TooManyRequests, StoreUnavailable) as error:
                if isinstance(error, TooManyRequests) and error.is_first:
                    self._audit.note(Request(scope), AuditEvent.LIMIT, Outcome.REFUSED, reason=error.reason)
                response = await self._refuse(Request(scope), error, is_page=limit.kind == "pages")
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _refuse(self, request: Request, error: TooManyRequests | StoreUnavailable, *, is_page: bool) -> Response:
        if is_page:

            async def refused(_request: Request) -> Response:
                raise error

            return await self._pages.endpoint(refused)(request)
        refusal = error if isinstance(error, TooManyRequests) else store_unavailable(request, error)
        log_refusal(request, error=refusal.error, reason=refusal.reason)
        return oauth_error_response(refusal)


def too_many_requests(wait: int, *, is_first: bool = True) -> TooManyRequests:
    """Return the refusal of a use that is allowed again in `wait` seconds; `is_first` of a row of refusals."""
    description = f"Too many requests; try again in {wait} seconds."
    return TooManyRequests(Reason.TOO_MANY_REQUESTS, description, retry_after=wait, is_first=is_first)


def _limit_of(scope: Scope) -> AddressLimit | None:
    if scope["type"] != "http":
        return None
    # Starlette answers HEAD wherever it answers GET.
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    if scope["path"].startswith(_REGISTRATIONS):
        return ADDRESS_LIMITS[_REGISTRATION]
    return ADDRESS_LIMITS.get((method, scope["path"]))
