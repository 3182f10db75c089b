"""The modern era's channel: questions end the run, answers come with the next (2026-07-28 basic/patterns/mrtr)."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final

from gatepost.protocol.messages import Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES, LOG_LEVEL
from gatepost.resource.principal import Principal
from gatepost.server.calls.channel import Interrupted, Line, Question
from gatepost.server.calls.request_state import RequestState, StateSeal, answers_of, binding_of, digest

RESUMABLE_METHODS: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
"""The methods that may be answered `input_required`."""


class QuestionChanged(RuntimeError):
    """A later run asked something else under a key that was asked before. The author's fault."""


class ModernChannel:
    """The channel of one request.

    Args:
        request: a request whose metadata has been checked.
        line: where its notifications go; None drops them.
        principal: who sends it.
        seal: writes and reads its state.

    Raises:
        InvalidParams: the answers or the state that it brings are not valid.
    """

    __slots__ = ("_answers", "_line", "_pending", "_principal", "_request", "_seal", "_state")

    def __init__(self, request: Request, line: Line | None, principal: Principal | None, seal: StateSeal) -> None:
        self._request = request
        self._line = line
        self._principal = principal
        self._seal = seal
        self._pending: dict[str, Question] = {}
        params = request.params
        self._answers = answers_of(params)
        text = params.get("requestState")
        # A client may answer what it expects to be asked. Without a state there is nothing to hold such answers to.
        self._state = RequestState() if text is None else seal.read(text, binding_of(request, principal))

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What the request declares."""
        capabilities: Mapping[str, Any] = self._request.params["_meta"][CLIENT_CAPABILITIES]
        return capabilities

    @property
    def log_level(self) -> str | None:
        """What the request asks for; nothing by default (server/utilities/logging)."""
        level: str | None = self._request.params["_meta"].get(LOG_LEVEL)
        return level

    @property
    def memory(self) -> MutableMapping[str, Any]:
        """What is sealed into the state beside the answers."""
        return self._state.memory

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification; see `Line.notify`."""
        if self._line is not None:
            await self._line.notify(method, params)

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification soon; see `Line.post`."""
        if self._line is not None:
            self._line.post(method, params)

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        """Return the answers if all of them are there.

        Raises:
            QuestionChanged: an earlier run asked something else under one of the keys.
            Interrupted: one or more are not there; the result has to be `input_required`.
        """
        state = self._state
        found: dict[str, Mapping[str, Any]] = {}
        for question in questions:
            key = question.key
            fingerprint = digest([question.method, question.params]).hex()
            if state.asked.setdefault(key, fingerprint) != fingerprint:
                raise QuestionChanged(
                    f"the question {key!r} is not the one that was asked before. A call that asks its client is run "
                    "again from its beginning with the answers, so it has to ask the same again: keep what varies, "
                    "such as times and random numbers, with ctx.once(), and give questions that depend on data a key="
                )
            # What was answered in an earlier run stays as it is: later code may have relied on it.
            answer = state.answers.get(key)
            if answer is None:
                answer = self._answers.get(key)
            if answer is None:
                self._pending[key] = question
            else:
                found[key] = state.answers[key] = answer
        if len(found) < len(questions):
            raise Interrupted
        return found

    async def close_stream(self) -> None:
        """Do nothing: streams of this era cannot be resumed."""

    def input_required(self) -> dict[str, Any] | None:
        """Return the `InputRequiredResult` of a run that asked for more than there is, else None."""
        if not self._pending:
            return None
        state = self._state
        # Everything that waits for an answer is asked for, also what several parts of a tool asked for side by side.
        return {
            "resultType": "input_required",
            "inputRequests": {
                key: {"method": question.method, "params": question.params} for key, question in self._pending.items()
            },
            "requestState": self._seal.write(state, binding_of(self._request, self._principal)),
        }
