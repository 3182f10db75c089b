"""Multi round-trip requests: the modern era's way to ask a client (2026-07-28 basic/patterns/mrtr).

A request that needs input from its client ends with the input requests. The client sends it again with the responses,
and it runs again from its beginning. Whoever dispatches a request that may ask its client writes

    client = MultiRoundTrip(request, principal, seal)
    try:
        result = client.result(await run(Context(exchange, client)))
    except BaseException as error:
        result = client.result_after(error)
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from gatepost.protocol.messages import Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES, LOG_LEVEL
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import InputRequests, Results
from gatepost.server.calls.request_state import RequestState, RequestStateSeal, binding_of, digest, input_responses_of


class InputRequired(BaseException):
    """Ends a run whose input requests the client has yet to answer. `MultiRoundTrip` knows them.

    It is no `Exception`, so that code which catches those does not swallow it. Code in between must let it through.
    """


class InputRequestChanged(RuntimeError):
    """A later run asked something else under a key that was used before. The author's fault."""


class MultiRoundTrip:
    """One run of a request, as the `McpClient` that it asks.

    Args:
        request: a request whose metadata has been checked.
        principal: who sends it.
        seal: writes and reads its state.

    Raises:
        InvalidParams: the responses or the state that it brings are not valid.
    """

    __slots__ = ("_pending", "_principal", "_request", "_responses", "_seal", "_state")

    def __init__(self, request: Request, principal: Principal | None, seal: RequestStateSeal) -> None:
        self._request = request
        self._principal = principal
        self._seal = seal
        self._pending: dict[str, Mapping[str, Any]] = {}
        params = request.params
        # What the client brings is looked at also if nobody will ask for it. It may bring responses to what it expects
        # to be asked; without a state there is nothing to hold them to.
        self._responses = input_responses_of(params)
        text = params.get("requestState")
        self._state = None if text is None else seal.read(text, binding_of(request, principal))

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
        """What outlasts the run when the request runs again: JSON values by key."""
        return self._opened_state().memory

    async def keep(self, key: str) -> None:
        """Do nothing: the whole memory goes along with the state, if the run asks for more than there is."""

    async def request(self, requests: InputRequests) -> Results:
        """Return the responses if all of them are there.

        Raises:
            InputRequestChanged: an earlier run asked something else under one of the keys.
            InputRequired: one or more are not there; the result has to be `input_required`.
        """
        state = self._opened_state()
        found: dict[str, Mapping[str, Any]] = {}
        for key, request in requests.items():
            fingerprint = digest([request["method"], request["params"]]).hex()
            if state.requests.setdefault(key, fingerprint) != fingerprint:
                raise InputRequestChanged(
                    f"the request {key!r} is not the one that was made before. A call that asks its client is run "
                    "again from its beginning with the responses, so it has to ask the same again: keep what varies, "
                    "such as times and random numbers, with ctx.once(), and give requests that depend on data a key="
                )
            # What came with an earlier run stays as it is: later code may have relied on it.
            response = state.responses.get(key)
            if response is None:
                response = self._responses.get(key)
            if response is None:
                self._pending[key] = request
            else:
                found[key] = state.responses[key] = response
        if len(found) < len(requests):
            raise InputRequired
        return found

    def result(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a run, or the `InputRequiredResult` of one that asked for more than there is.

        What is pending counts also if the run's code caught the interruption: its result was then made without it.
        """
        if not self._pending:
            return result
        # All that waits for a response is asked for, also what several parts of a tool asked for side by side.
        return {
            "resultType": "input_required",
            "inputRequests": self._pending,
            "requestState": self._seal.write(self._opened_state(), binding_of(self._request, self._principal)),
        }

    def result_after(self, error: BaseException) -> dict[str, Any]:
        """Return the `InputRequiredResult` of a run that ended with this error.

        Raises BaseException: `error`, if it is another one than `InputRequired`.
        """
        # Side by side in a task group, they come as a group.
        found = error.subgroup(InputRequired) if isinstance(error, BaseExceptionGroup) else error
        if self._pending and isinstance(found, InputRequired | BaseExceptionGroup):
            return self.result({})
        raise error

    def _opened_state(self) -> RequestState:
        if self._state is None:
            self._state = RequestState()
        return self._state
