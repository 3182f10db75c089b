"""What a request passes before the routing table: cross-origin rules and foreign hosts; and which passes none of it.

Plain ASGI layers, outermost first: `CrossOrigin`, `LocalOnly`, `HostGuard`. They sit inside any middleware that the
user adds to the app.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, field
from functools import partial
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.loopback_names import LOOPBACK_HOST
from gatepost.web.site.responses import json_response

_log = logging.getLogger("gatepost.web")

LOOPBACK_ORIGIN = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?")
"""Browser tools that run on the developer's own machine, such as the MCP Inspector."""

_OPEN_PATHS = re.compile(
    r"/\.well-known/|/oauth/(?:token|par|device_authorization|register|revoke|introspect|jwks)$|/openapi\.json$"
    r"|.+/\.well-known/"
)
"""Read by clients in browsers from anywhere. No cookie is looked at here, so any origin may read the answers."""

_MCP_EXPOSED = ("WWW-Authenticate", "Mcp-Session-Id", "MCP-Protocol-Version", "Retry-After", "DPoP-Nonce")
_FORWARDED = frozenset(
    b"forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip "
    b"cf-connecting-ip true-client-ip fly-client-ip".split()
)
"""What proxies and tunnels add (RFC 7239)."""

HOST_FOREIGN: Final = (
    "This server is not known by that Host. The operator sets MCP_PUBLIC_URL to the origin that clients use, or adds "
    "the Host, with its port if it has one, to MCP_ALLOWED_HOSTS."
)
"""What a request with a foreign `Host` is told; which one it was is in the log."""
ORIGIN_FOREIGN: Final = (
    "Pages of this Origin may not call this server. The operator can add it to MCP_ALLOWED_ORIGINS as it was sent, "
    "such as https://app.example.com."
)
_MISDIRECTED = 421
_PLAIN_HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]{1,100}")

ORDINARY_HEADERS: Final = "gatepost.ordinary_headers"
"""Where in the scope of an ordinary request its headers stand as a dictionary, so that nobody reads them twice."""


class OrdinaryRequests:
    """Knows the requests to MCP, and others that come often, for which none of the layers would do anything.

    Ordinary: it has no `Origin` (only browsers send one), its `Host` is the server's own, no header stands in it twice,
    and `LocalOnly` would have let it pass.

    Args:
        endpoints: the MCP endpoints by path, with and without a slash at the end.
        own_hosts: `Host` values that are ours, in lower case.
        is_local_only: whether `LocalOnly` guards this server.
        base: the path of the public URL.
    """

    def __init__(
        self, *, endpoints: Mapping[str, ASGIApp], own_hosts: frozenset[str], is_local_only: bool, base: str = ""
    ) -> None:
        self._endpoints = dict(endpoints)
        self._own_hosts = frozenset(host.encode("latin-1") for host in own_hosts)
        self._is_local_only = is_local_only
        self._base = base

    def lead(self, path: str, endpoint: ASGIApp) -> None:
        """Lead ordinary requests at one more path to an endpoint, which is open to every origin anyway."""
        self._endpoints[path] = endpoint

    def endpoint_of(self, scope: Scope) -> ASGIApp | None:
        """Return the endpoint of an ordinary request, which gets its `ORDINARY_HEADERS`, else None."""
        if scope["type"] != "http":
            return None
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None or scope.get("root_path", "") != self._base:
            return None
        raw_headers = scope["headers"]
        headers = dict(raw_headers)
        # A name that stands twice shows in the length.
        if b"origin" in headers or headers.get(b"host") not in self._own_hosts or len(headers) != len(raw_headers):
            return None
        if self._is_local_only and not (_FORWARDED.isdisjoint(headers) and _is_local(scope.get("client"))):
            return None
        scope[ORDINARY_HEADERS] = headers
        return endpoint


@dataclass(frozen=True, slots=True)
class LocalOnly:
    """Answers 421 to what does not come straight from this machine; for a server without a public URL.

    Such a server may have no login, an answer for every loopback name, and plain http. Started by another ASGI server
    on all interfaces, or put behind a proxy or a tunnel, it would be public without anybody having said so.
    """

    app: ASGIApp
    passed_by: frozenset[str] = frozenset()
    """Paths that answer everybody, and say to strangers nothing that is worth knowing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        app = self.app
        is_local_only = scope["type"] == "http" and scope["path"] not in self.passed_by
        if is_local_only and not is_straight_from_here(scope):
            peer = scope.get("client")
            app = _refused(
                scope,
                None if peer is None else peer[0],  # whatever forwarded it is named by no setting here
                _MISDIRECTED,
                Reason.PEER_FOREIGN,
                "This server is set up for its own machine only. To reach it through a proxy, a tunnel or a "
                "network, the operator sets MCP_PUBLIC_URL to the https origin that clients use.",
            )
        await app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class HostGuard:
    """Answers 421 to a `Host` that is not ours, against DNS rebinding (RFC 9110 sections 7.2 and 15.5.20).

    The MCP endpoints look at `Host` themselves while they go through the headers once, so they are passed by here, as
    are the probes, which give nothing away.
    """

    app: ASGIApp
    _: KW_ONLY
    allowed_hosts: frozenset[str]
    """`Host` values that are ours, in lower case."""
    passed_by: frozenset[str]
    """Paths that check for themselves, or answer everybody."""
    any_loopback: bool = False
    """Whether every loopback name is ours too, on any port; for a server without a public URL."""
    addresses: ClientAddresses = field(default_factory=ClientAddresses)
    """Say for the log from where a refused request comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        app = self.app
        if scope["type"] == "http" and scope["path"] not in self.passed_by:
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not self._is_ours(hosts[0].lower()):
                host = loggable_host(b",".join(hosts))
                app = _refused(
                    scope, self.addresses.of(scope), _MISDIRECTED, Reason.HOST_FOREIGN, HOST_FOREIGN, host=host
                )
        await app(scope, receive, send)

    def _is_ours(self, host: bytes) -> bool:
        is_loopback = self.any_loopback and LOOPBACK_HOST.fullmatch(host) is not None
        return is_loopback or host.decode("latin-1") in self.allowed_hosts


class CrossOrigin:
    """Cross-origin rules (CORS): open for what clients must discover, named origins for MCP, nothing for pages.

    Args:
        app: what is answered.
        mcp_paths: the MCP endpoints' paths, with and without a slash at the end.
        allowed_origins: the browser origins that may call these.
        any_origin: whether every origin may call them, since they demand a token.
        application_paths: the paths of protected applications, with all below them. They need not look at `Origin`
            themselves, as the MCP endpoints do: a page that may not call them is answered here.
        addresses: say for the log from where a refused request comes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        mcp_paths: frozenset[str],
        allowed_origins: frozenset[str],
        any_origin: bool = False,
        application_paths: Iterable[str] = (),
        addresses: ClientAddresses | None = None,
    ) -> None:
        self.app = app
        self._addresses = addresses or ClientAddresses()
        self._mcp_paths = mcp_paths
        self._application_paths = tuple(f"{path}/" for path in application_paths)
        self._open = open_to_every_origin(app)
        named = partial(
            CORSMiddleware,
            app,
            allow_origin_regex=LOOPBACK_ORIGIN.pattern,
            # All that is asked for is allowed by its name: a `*` would not include `Authorization` (Fetch standard).
            allow_headers=["*"],
            expose_headers=_MCP_EXPOSED,
            max_age=7200,
        )
        self._origins = None if any_origin else frozenset(origin.encode("latin-1") for origin in allowed_origins)
        origins = ["*"] if any_origin else sorted(allowed_origins)
        self._mcp = named(allow_origins=origins, allow_methods=["GET", "POST", "DELETE"])
        self._applications = named(allow_origins=origins, allow_methods=["*"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Apply the rules of the request's path."""
        await (self._rules(scope, scope["path"]) if scope["type"] == "http" else self.app)(scope, receive, send)

    def _rules(self, scope: Scope, path: str) -> ASGIApp:
        if path in self._mcp_paths:
            return self._mcp
        if self._application_paths and f"{path}/".startswith(self._application_paths):
            origins = [value for name, value in scope["headers"] if name == b"origin"]
            may_call = all(is_origin_ours(origin, self._origins) for origin in origins)
            if not may_call:
                return _refused(scope, self._addresses.of(scope), 403, Reason.ORIGIN_FOREIGN, ORIGIN_FOREIGN)
            return self._applications
        return self._open if _OPEN_PATHS.match(path) else self.app


def open_to_every_origin(app: ASGIApp) -> ASGIApp:
    """Return the app with answers that pages of every origin may read."""
    return CORSMiddleware(
        app, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["*"], expose_headers=_MCP_EXPOSED
    )


def is_origin_ours(origin: bytes, ours: frozenset[bytes] | None) -> bool:
    """Say whether pages of an `Origin` may call: those named, every one where `ours` is None, and loopback ones."""
    return ours is None or origin in ours or LOOPBACK_ORIGIN.fullmatch(origin.decode("latin-1")) is not None


@functools.lru_cache(maxsize=1024)
def _is_local_address(host: str) -> bool:
    """Say whether an address is this machine's. A test client's is a word, and no network has words for addresses."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _is_local(client: tuple[str, int] | None) -> bool:
    """Say whether a peer is on this machine; one at a Unix socket, which has no address, is."""
    return client is None or _is_local_address(client[0])


def is_straight_from_here(scope: Scope) -> bool:
    """Say whether an HTTP request comes from this machine, and through no proxy or tunnel that says so."""
    return _is_local(scope.get("client")) and not any(name in _FORWARDED for name, _ in scope["headers"])


def names_us(scope: Scope, allowed_hosts: frozenset[str], *, any_loopback: bool) -> bool:
    """Say whether who sent an HTTP request knows the server's name, or is on this machine and uses a name of that.

    `allowed_hosts` are `Host` values that are ours, in lower case; `any_loopback` says that these are names of this
    machine, which mean nothing when they come from elsewhere.
    """
    hosts = [value.lower() for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return False
    if not any_loopback and hosts[0].decode("latin-1") in allowed_hosts:
        return True
    return LOOPBACK_HOST.fullmatch(hosts[0]) is not None and is_straight_from_here(scope)


def loggable_host(host: bytes) -> str | None:
    """Return a `Host` as the log may have it, for whoever has to allow it; None for what is no host."""
    return host.decode("ascii") if _PLAIN_HOST.fullmatch(host) else None


def _refused(
    scope: Scope, address: str | None, status: int, reason: Reason, description: str, *, host: str | None = None
) -> Response:
    _log.info("refused", extra={"reason": reason.value, "path": scope["path"][:200], "host": host, "address": address})
    error = "misdirected_request" if status == _MISDIRECTED else "access_denied"
    return json_response({"error": error, "error_description": description}, status)
