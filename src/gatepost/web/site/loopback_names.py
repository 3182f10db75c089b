"""One server, several loopback names: `localhost`, `127.0.0.1` and `[::1]`, and the ports that tunnels give them.

On a developer's machine people type whichever name they like, and an SSH or container tunnel changes the port. Issuer,
resource and redirects must repeat exactly the origin that the client uses (RFC 8414 section 3.3, RFC 9728 section 3.3),
so each loopback origin gets a site of its own, built when it is first used, over the same store. A server with a public
URL has exactly one origin and never comes here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

_PORT = rb"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
LOOPBACK_HOST = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::(?:" + _PORT + rb"))?", re.IGNORECASE)
"""A `Host` value that names this machine; the port is one there can be, in its one spelling (RFC 9110 section 7.2)."""

_MOST_TUNNELS = 8
"""Sites for ports other than our own, which tunnels give us, and below paths at which the app is mounted. Of more than
that the one used least recently goes; names on our own port, of which there are three, always stay."""


class LoopbackNames:
    """Leads a request that uses another loopback name to that name's site."""

    def __init__(self, app: ASGIApp, *, own_host: str, build_site: Callable[[str], ASGIApp]) -> None:
        """Prepare.

        Args:
            app: serves `own_host`, and whatever is no loopback name.
            own_host: the `Host` value of the server's main origin.
            build_site: returns the site of an origin such as `http://localhost:8000`, perhaps with a base path.
        """
        self.app = app
        self._own_host = own_host.encode("latin-1")
        self._own_port = _port_of(self._own_host)
        self._build_site = build_site
        self._names: dict[tuple[bytes, str], ASGIApp] = {}
        self._tunnels: dict[tuple[bytes, str], ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead one request."""
        app = self.app
        if scope["type"] == "http":
            host = next((value for name, value in scope["headers"] if name == b"host"), b"").lower()
            base = scope.get("root_path", "")
            if host != self._own_host or base:
                app = self._site(host, base) or app
        await app(scope, receive, send)

    def _site(self, host: bytes, base: str) -> ASGIApp | None:
        """Return the site of a `Host` and a base path; None when it is no loopback name."""
        sites = self._names if _port_of(host) == self._own_port and not base else self._tunnels
        key = host, base
        site = sites.pop(key, None)
        if site is None:
            if LOOPBACK_HOST.fullmatch(host) is None:
                return None
            if len(self._tunnels) >= _MOST_TUNNELS and sites is self._tunnels:
                del sites[next(iter(sites))]
            site = self._build_site(f"http://{host.decode('ascii')}{base}")
        sites[key] = site  # at the end: in the order of use
        return site


def _port_of(host: bytes) -> bytes:
    return host.rpartition(b":")[2] if host[-1:].isdigit() and b":" in host else b""
