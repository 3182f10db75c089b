"""The MCP endpoint of a server alone, for an app that knows its callers by itself: what `Server.app` is."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from starlette.types import Receive, Scope, Send

from gatepost.configuration.deployment import MCP_PATH
from gatepost.oauth.reasons import Reason
from gatepost.web.site.front_door import is_straight_from_here
from gatepost.web.site.responses import json_response

if TYPE_CHECKING:
    from starlette.responses import Response

    from gatepost.assembly.installation import Installation
    from gatepost.web.mcp.endpoint import McpEndpoint
    from gatepost.web.site.direct_app import DirectApp

_log = logging.getLogger("gatepost.web")

_HOST: Final = re.compile(r"[a-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9a-f:.]{2,45}\](?::[0-9]{1,5})?")
_MOST_HOSTS: Final = 8
"""Names that the app around is known by, of which the one used least recently goes."""
_UNKNOWN: Final = (
    "Nobody has said who calls: this endpoint stands alone. The operator puts AuthenticationMiddleware of Starlette in "
    "front, or serves it by create_app() with its login, or sets MCP_REQUIRE_AUTH=false to serve everybody."
)


class BareEndpoint:
    """Serves one endpoint at the very path of a mount, to callers that the app around has authenticated.

    Whoever comes straight from this machine is served without, where no app around says who calls: of those whom it
    could not authenticate, a proxy on this machine that adds no header may pass on the whole internet. In public nobody
    else is, unless the operator has said so: an app that forgot its guard would otherwise serve every tool that needs
    no scope to everybody.
    """

    def __init__(self, installation: Installation, app: DirectApp, *, is_open: bool) -> None:
        """Prepare.

        Args:
            installation: of the one endpoint, without a public URL, a guard or an authorization server.
            app: its app, for callers on this machine.
            is_open: whether everybody is served.
        """
        self._installation = installation
        self._app = app
        self._is_open = is_open
        self._endpoints: dict[str, McpEndpoint] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # 1. It is at the path of the mount, with and without a slash at the end; or where a route has led to it.
        root, path = scope.get("root_path", "").rstrip("/"), scope["path"].rstrip("/")
        is_here = path == root or (not root and (scope.get("endpoint") is self or path == MCP_PATH))
        if not is_here:
            await _refused(404, "not_found", f"The endpoint is at {root or '/'} itself.")(scope, receive, send)
            return
        # 2. Who calls? The middleware has somebody for every request, whom it knows or not.
        user = scope.get("user")
        if self._is_open or (user is not None and user.is_authenticated):
            if self._app.life is not None and not self._app.life.is_open:
                await self._app.life.start(None)
            endpoint = self._endpoint_at(scope)
            await (endpoint or _refused(400, "invalid_request", "Host names no host."))(scope, receive, send)
        elif user is None and is_straight_from_here(scope):
            # Without the app around, which passes nothing on that this one would miss.
            inner = {name: value for name, value in scope.items() if name != "app"}
            await self._app({**inner, "path": root + MCP_PATH}, receive, send)
        else:
            _log.info("refused", extra={"reason": Reason.PEER_FOREIGN.value})
            await _refused(401, "invalid_request", _UNKNOWN)(scope, receive, send)

    def _endpoint_at(self, scope: Scope) -> McpEndpoint | None:
        """Return the endpoint under the name that a caller uses whom the app around lets in; None for no name."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
        endpoint = self._endpoints.pop(host, None)
        if endpoint is None:
            if _HOST.fullmatch(host) is None:
                return None
            if len(self._endpoints) >= _MOST_HOSTS:
                del self._endpoints[next(iter(self._endpoints))]
            endpoint = self._installation.resources.mcp_endpoints(f"https://{host}", frozenset({host}))[MCP_PATH]
        self._endpoints[host] = endpoint
        return endpoint


def _refused(status: int, error: str, description: str) -> Response:
    return json_response({"error": error, "error_description": description}, status)
