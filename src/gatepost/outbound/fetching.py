"""Fetching a JSON document from a URL that a stranger chose (OWASP: server-side request forgery).

The name is resolved once, every address it has must be public, and the connection goes to one of those very addresses:
a name that answers differently the second time (DNS rebinding) gains nothing. TLS still checks the certificate against
the name. No redirect is followed, no cookie or credential is sent, and size and time have limits. A forward proxy is
asked for those same addresses, unless it is said to resolve names itself. What went wrong is for the log; whoever asked
learns only that it failed, and whether that is a fault of ours.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.oauth.fetched_urls import host_of
from gatepost.outbound.addresses import is_local_name, is_loopback, is_public
from gatepost.outbound.proxy import ForwardProxy

if TYPE_CHECKING:
    import httpx2

TOTAL_SECONDS: Final = 5.0
"""For one document: name resolution, connection, TLS and all that is read."""
_ADDRESSES_TRIED: Final = 2
_RESOLVERS: Final = 64
_CONNECT_SECONDS: Final = 2.0
_JSON: Final = re.compile(r"application/(?:[a-z0-9!#$&^_.+-]+\+)?json[ \t]*(?:;.*)?", re.IGNORECASE | re.DOTALL)
_DIRECTIVE: Final = re.compile(r"([a-z-]+)(?:=\"?([0-9]+)\"?)?(?=[ \t]*(?:,|$))")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_OK: Final = 200
_DEFAULT_PORT: Final = 443

# For how many seconds a document may be kept. Section 5.2 of the draft on client metadata documents lets a server set
# bounds of its own. The lower one keeps a document that forbids caching from being fetched for every request; the upper
# one lets a change, such as a new key, arrive within a day.
SHORTEST_LIFETIME: Final = 60
LONGEST_LIFETIME: Final = 24 * 3600
UNSAID_LIFETIME: Final = 3600

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the address literals of a host name; raises OSError when there are none."""

_log = logging.getLogger("gatepost.outbound")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One document."""

    body: bytes
    lifetime: int
    """For how many seconds it may be kept."""


class Fault(Enum):
    """Whose fault it is that a document could not be fetched."""

    DOCUMENT = auto()
    """Its host does not exist, or must not be reached."""
    ANSWER = auto()
    """The document's: a server was reached, and what it answers cannot be used."""
    CONNECTION = auto()
    """No secure connection to the host came about: its own fault, or ours if there is none to any other either."""
    EGRESS = auto()
    """Ours: no name is resolved, there is no route, or the proxy is out of reach or refuses."""


# httpx's `trace` extension tells how far a request has come. What fails after an event is the fault beside it.
_STRAIGHT: Final = {
    "connection.connect_tcp.started": Fault.CONNECTION,
    "connection.start_tls.complete": Fault.ANSWER,
}
_PROXIED: Final = {
    "connection.connect_tcp.started": Fault.EGRESS,
    # A proxy that fails, or is silent, may have met a host that does.
    "connection.connect_tcp.complete": Fault.CONNECTION,
    "connection.start_tls.started": Fault.EGRESS,  # with a proxy of https
    "connection.start_tls.complete": Fault.CONNECTION,
    "proxy.start_tls.complete": Fault.ANSWER,
}
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_SERVER_ERROR: Final = "500"


class FetchFailed(Exception):
    """There is no document. `cause` is a word for the log, never for whoever asked."""

    def __init__(self, cause: str, fault: Fault = Fault.DOCUMENT) -> None:
        super().__init__(cause)
        self.cause = cause
        self.fault = fault


class Fetcher(Protocol):
    """Fetches documents."""

    async def fetch(self, url: str, *, limit: int) -> Fetched:
        """Return the document at `url`, of at most `limit` bytes.

        Args:
            url: an https URL that `oauth.fetched_urls.url_problem` has nothing against.
            limit: bytes.

        Raises:
            FetchFailed: it could not be had.
        """


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host name, in the order in which the system would try them.

    Whoever owns a name decides how long that takes, and the thread that waits cannot be called back. So there are
    threads for this alone, several for each fetch that may be under way, and the event loop's own few stay free.
    """
    resolving = _resolvers().submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    answers = await asyncio.wrap_future(resolving)
    return list(dict.fromkeys(str(address[0]) for *_, address in answers))


@functools.cache
def _resolvers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="gatepost-resolve")


@functools.cache
def system_trust() -> ssl.SSLContext:
    """Return a TLS client that trusts what the system trusts, or what SSL_CERT_FILE names."""
    from httpx2 import create_ssl_context  # noqa: PLC0415 - nothing is fetched at the start

    return create_ssl_context()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedFetcher:
    """`Fetcher` that reaches public addresses only."""

    allow_loopback: bool = False
    """Whether this very machine may be reached too; for tests only."""
    resolve: Resolve = resolve
    tls: Callable[[], ssl.SSLContext] = system_trust
    """Returns the TLS client."""
    total_seconds: float = TOTAL_SECONDS
    """How long one document may take."""
    proxy: ForwardProxy | None = None

    async def fetch(self, url: str, *, limit: int) -> Fetched:
        """Fetch from one of the public addresses of the host."""
        import httpx2  # noqa: PLC0415 - nothing is fetched at the start

        progress = _Progress(_STRAIGHT if self.proxy is None else _PROXIED)
        try:
            async with asyncio.timeout(self.total_seconds):
                return await self._fetch(httpx2.URL(url), progress, limit=limit)
        except FetchFailed as failure:
            cause = failure.cause
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            cause = progress.failed(error)
        # The host has passed the rules for URLs, so it is letters, digits, dots and hyphens.
        _log.info("outbound fetch failed: %s", cause, extra={"host": host_of(url), "cause": cause})
        raise FetchFailed(cause, progress.fault)

    async def _fetch(self, target: httpx2.URL, progress: _Progress, *, limit: int) -> Fetched:
        # 1. Resolve the name, once; or look whether the proxy may be asked for it.
        if self.proxy is not None and self.proxy.resolves_names:
            addresses: Sequence[str] = [target.host]
            is_permitted = self._may_be_named(target.host)
        else:
            addresses = await self.resolve(target.host, target.port or _DEFAULT_PORT)
            # One address that is not public spoils them all: honest names have none.
            is_permitted = bool(addresses) and all(map(self._may_be_reached, addresses))
        progress.fault = Fault.DOCUMENT

        # 2. Refuse what is not public.
        if not is_permitted:
            raise FetchFailed("address")

        # 3. Connect to those addresses and no others. What families a proxy reaches is not known: IPv4 first.
        if self.proxy is not None:
            addresses = sorted(addresses, key=lambda address: ":" in address)
        return await self._fetch_from(addresses[:_ADDRESSES_TRIED], target, progress, limit=limit)

    def _may_be_reached(self, address: str) -> bool:
        return is_public(address) or (self.allow_loopback and is_loopback(address))

    def _may_be_named(self, host: str) -> bool:
        return not is_local_name(host) or (self.allow_loopback and host == "localhost")

    async def _fetch_from(
        self, addresses: Sequence[str], target: httpx2.URL, progress: _Progress, *, limit: int
    ) -> Fetched:
        import httpx2  # noqa: PLC0415 - likewise

        from gatepost.outbound.transport import transport  # noqa: PLC0415 - likewise

        timeout = httpx2.Timeout(self.total_seconds, connect=_CONNECT_SECONDS)
        async with httpx2.AsyncClient(
            transport=transport(self.proxy, self.tls), trust_env=False, follow_redirects=False, timeout=timeout
        ) as http:
            for address in addresses[:-1]:
                try:
                    return await self._read(http, address, target, progress, limit=limit)
                except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError):
                    continue
            return await self._read(http, addresses[-1], target, progress, limit=limit)

    async def _read(
        self, http: httpx2.AsyncClient, address: str, target: httpx2.URL, progress: _Progress, *, limit: int
    ) -> Fetched:
        headers = {
            "Host": target.netloc.decode("ascii"),
            "Accept": "application/json",
            # What is read is what was sent: nothing is unpacked, so nothing can grow.
            "Accept-Encoding": "identity",
            "User-Agent": "gatepost",
        }
        extensions = {"sni_hostname": target.host, "trace": progress.trace}
        async with http.stream(
            "GET", target.copy_with(host=address), headers=headers, extensions=extensions
        ) as response:
            if response.status_code != _OK:  # section 5 of the draft: redirects and 304 are errors too
                raise FetchFailed("status")
            if _JSON.fullmatch(response.headers.get("content-type", "")) is None:
                raise FetchFailed("content_type")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise FetchFailed("content_encoding")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > limit:
                    raise FetchFailed("size")
            return Fetched(bytes(body), document_lifetime(response.headers))


@dataclass(slots=True)
class _Progress:
    """How far one fetch has come, as whose fault it is if it fails now."""

    faults: Mapping[str, Fault]
    fault: Fault = Fault.EGRESS
    """At first the name is resolved."""

    async def trace(self, event: str, _details: Any) -> None:
        self.fault = self.faults.get(event, self.fault)

    def failed(self, error: Exception) -> str:
        """Take in what the fetch ended with, and return a word for it."""
        import httpx2  # noqa: PLC0415 - likewise

        if isinstance(error, TimeoutError):
            return "timeout"
        if isinstance(error, httpx2.ProxyError):
            status = str(error)[:3]  # of its answer to CONNECT
            self.fault = Fault.CONNECTION if status >= _SERVER_ERROR else Fault.EGRESS
            return f"proxy_{status}"
        is_no_name = isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME
        if is_no_name or isinstance(error, (ValueError, httpx2.InvalidURL)):
            self.fault = Fault.DOCUMENT
        elif self.fault is Fault.CONNECTION and _has_no_route(error):
            self.fault = Fault.EGRESS
        return type(error).__name__


def _has_no_route(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENETUNREACH:
            return True
        error = error.__cause__ or error.__context__
    return False


def document_lifetime(headers: Mapping[str, str]) -> int:
    """Return for how many seconds a document with these response headers counts as fresh (RFC 9111, 4.2 and 5.2)."""
    cache_control = headers.get("cache-control")
    if cache_control is None:
        return UNSAID_LIFETIME
    directives = dict(_DIRECTIVE.findall(cache_control.lower()))
    if "no-store" in directives or "no-cache" in directives:
        return SHORTEST_LIFETIME
    # This is a shared cache: s-maxage comes first (RFC 9111 section 5.2.2.10).
    stated = directives.get("s-maxage") or directives.get("max-age")
    if not stated:
        return UNSAID_LIFETIME
    age = headers.get("age", "")
    spent = int(age) if _DIGITS.fullmatch(age) else 0
    return min(max(int(stated[:10]) - spent, SHORTEST_LIFETIME), LONGEST_LIFETIME)
