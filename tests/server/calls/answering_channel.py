"""A channel of the handshake era whose client answers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gatepost.server.calls.channel import Question

EVERYTHING: Mapping[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}


class AnsweringChannel:
    """Remembers what was sent and asked; answers by method."""

    def __init__(
        self,
        answers: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        client_capabilities: Mapping[str, Any] = EVERYTHING,
        log_level: str | None = None,
    ) -> None:
        self.answers = answers or {}
        self.client_capabilities = client_capabilities
        self.log_level = log_level
        self.is_cancelled = False
        self.memory: dict[str, Any] = {}
        self.sent: list[tuple[str, Mapping[str, Any]]] = []
        self.asked: list[Question] = []
        self.streams_closed = 0

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self.sent.append((method, params))

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        self.sent.append((method, params))

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        self.asked += questions
        return {question.key: self.answers[question.method] for question in questions}

    async def close_stream(self) -> None:
        self.streams_closed += 1
