"""One line of the log for each request, at DEBUG: what was asked for, from where, the answer, how long it took."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import KW_ONLY

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.web.site.base_path import inner_scope
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.errors import endpoint_of

logger = logging.getLogger("gatepost.requests")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Middleware that writes the line once the answer is out; without a path that is nobody's but the client's text."""

    app: ASGIApp
    _: KW_ONLY
    own_paths: Collection[str]
    """Paths that are served without a route: those of the MCP endpoints."""
    addresses: ClientAddresses
    clock: Callable[[], float]
    """Seconds, from any moment on."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = self.clock()
        status: int | None = None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "(another method)"
            inner = inner_scope(scope)
            where = inner["path"] if inner["path"] in self.own_paths else endpoint_of(inner)
            details = {
                "status": status,
                "milliseconds": round((self.clock() - began) * 1000),
                "address": self.addresses.of(scope),
            }
            logger.debug("%s %s", method, where, extra=details)
