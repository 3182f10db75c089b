"""An exchange in a session whose client answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatepost.server.calls.exchange import Exchange, InputRequests, Results

EVERYTHING: Mapping[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}


class AnsweringExchange(Exchange):
    """Remembers what was sent and requested; answers by method."""

    def __init__(
        self,
        answers: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        client_capabilities: Mapping[str, Any] = EVERYTHING,
        log_level: str | None = None,
    ) -> None:
        super().__init__()
        self.answers = answers or {}
        self.client_capabilities = client_capabilities
        self.log_level = log_level
        self.sent: list[tuple[str, Mapping[str, Any]]] = []
        self.requests: dict[str, Mapping[str, Any]] = {}
        self.streams_closed = 0

    @property
    def session(self) -> AnsweringExchange:
        return self

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self.sent.append((method, params))

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        self.sent.append((method, params))

    async def request(self, requests: InputRequests) -> Results:
        self.requests.update(requests)
        return {key: self.answers[request["method"]] for key, request in requests.items()}

    async def close_stream(self) -> None:
        self.streams_closed += 1

    async def set_log_level(self, level: str) -> None:
        self.log_level = level

    async def subscribe(self, uri: str, *, as_sent: str) -> bool:
        raise NotImplementedError

    async def unsubscribe(self, uri: str) -> None:
        raise NotImplementedError
