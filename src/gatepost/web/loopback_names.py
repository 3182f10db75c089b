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

LOOPBACK_HOST = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)

_MOST_SITES = 8
"""A person uses two or three names; more is somebody playing with `Host`, who gets a 421."""


class LoopbackNames:
    """Leads a request that uses another loopback name to that name's site."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        own_host: str,
        build_site: Callable[[str], ASGIApp],
        belongs_to_site: Callable[[str], bool],
    ) -> None:
        """Prepare.

        Args:
            app: serves `own_host`, and every path that is no site's.
            own_host: the `Host` value of the server's main origin.
            build_site: returns the site of an origin such as `http://localhost:8000`.
            belongs_to_site: says of a path whether sites serve it.
        """
        self.app = app
        self._own_host = own_host.encode("latin-1")
        self._build_site = build_site
        self._belongs_to_site = belongs_to_site
        self._sites: dict[bytes, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead one request."""
        app = self.app
        if scope["type"] == "http":
            host = next((value for name, value in scope["headers"] if name == b"host"), b"").lower()
            if host != self._own_host and self._belongs_to_site(scope["path"]):
                app = self._site(host) or app
        await app(scope, receive, send)

    def _site(self, host: bytes) -> ASGIApp | None:
        site = self._sites.get(host)
        if site is None and len(self._sites) < _MOST_SITES and LOOPBACK_HOST.fullmatch(host):
            site = self._sites[host] = self._build_site(f"http://{host.decode('ascii')}")
        return site
