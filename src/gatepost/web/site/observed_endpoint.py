"""An endpoint whose requests are measured: how long they took, how they ended, and why if they were refused.

It is there only where somebody measures. Routes, methods and classes of status are the labels, and of refusals the
reason; nothing of what a client sent is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.telemetry.catalogue import ENDPOINT_DURATION, REFUSALS
from gatepost.telemetry.seam import Telemetry
from gatepost.web.site.errors import REFUSED_FOR

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CUT_SHORT: Final = "none"
"""In place of the class of a status, where no answer went out."""


@dataclass(frozen=True, slots=True)
class ObservedEndpoint:
    """An ASGI application around one that answers at one route."""

    app: ASGIApp
    route: str
    """The template of its path."""
    telemetry: Telemetry
    _: KW_ONLY
    clock: Callable[[], float] = time.perf_counter
    """Seconds, from any moment on."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = self.clock(), _CUT_SHORT

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = f"{message['status'] // 100}xx"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            labels = {"endpoint": self.route, "method": method, "status": status}
            self.telemetry.record(ENDPOINT_DURATION, self.clock() - began, labels)
            reason: str | None = scope.get(REFUSED_FOR)
            if reason is not None:
                self.telemetry.count(REFUSALS, {"endpoint": self.route, "reason": reason})
