"""The client of one session, for a target that keeps something for each session (`SessionTarget`)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange, InputRequests, Results, SendMessage
from gatepost.server.calls.pending_client_requests import PendingClientRequests
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.web.mcp.sessions.listening import SessionListening

logger = logging.getLogger("gatepost.mcp")


class StreamChannel(Exchange):
    """A session's own stream, as a `SessionChannel`; its requests are sent there, and answered by POST like others.

    Args:
        key: the session's fingerprint.
        principal: who began it.
        client_capabilities: what `initialize` declared.
        listening: sends what is posted.
        client_requests: keep what is asked.
        end: ends the session.
    """

    __slots__ = ("_client_requests", "_end", "_listening", "client_capabilities", "key")

    def __init__(
        self,
        key: bytes,
        principal: Principal | None,
        client_capabilities: Mapping[str, Any],
        *,
        listening: SessionListening,
        client_requests: PendingClientRequests,
        end: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(principal)
        self.key = key
        self.client_capabilities = client_capabilities
        self._listening = listening
        self._client_requests = client_requests
        self._end = end

    @property
    def is_listening(self) -> bool:
        return self._listening.is_listening(self.key)

    def post_message(self, message: bytes) -> None:
        self._listening.post(self.key, message)

    def sink(self) -> SendMessage:
        return self.send

    async def send(self, message: bytes) -> None:
        self._listening.post(self.key, message)

    async def request(self, requests: InputRequests) -> Results:
        return await self._client_requests.request(self.key, self, requests)

    async def end(self) -> None:
        try:
            await self._end()
        except StoreUnavailable:
            # Its client is told at its next request.
            logger.warning("a session could not be ended")
