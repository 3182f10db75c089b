"""One run of the user's code for a request: `tools/call`, `prompts/get`, `resources/read`.

Whoever dispatches one of them writes

    run = RequestRun(request, revision, caller, name=name, state=server.state, seal=seal)
    try:
        result = await tool.call(arguments, run.context)
    except BaseException as error:
        result = run.result_after(error)
    else:
        result = run.result_or_questions(result)

and sends `result` as it is when it has a `resultType`: in the modern era a run that asked its client ends with the
questions, whatever else became of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatepost.protocol.messages import Request, is_progress_token
from gatepost.protocol.versions import Revision
from gatepost.server.calls.channel import Channel, Interrupted
from gatepost.server.calls.context import Context
from gatepost.server.calls.modern_channel import ModernChannel
from gatepost.server.calls.request_state import StateSeal
from gatepost.server.target import Caller


class RequestRun:
    """One run. Building it costs next to nothing; the channel is opened when something is sent or asked.

    Args:
        request: the request.
        revision: what it is in.
        caller: who sends it.
        name: the tool's or prompt's name, or what a resource is called in the log.
        state: what the server's lifespan yielded.
        seal: writes and reads request state.

    Raises:
        InvalidParams: the request brings answers or a state that are not valid.
    """

    __slots__ = ("_caller", "_channel", "_modern", "_name", "_request", "_seal", "_state")

    def __init__(
        self,
        request: Request,
        revision: Revision,
        caller: Caller,
        *,
        name: str,
        state: Mapping[str, Any],
        seal: StateSeal,
    ) -> None:
        self._request = request
        self._caller = caller
        self._name = name
        self._state = state
        self._seal = seal
        self._modern = revision.modern
        self._channel: Channel | None = None
        params = request.params
        if self._modern and ("requestState" in params or "inputResponses" in params):
            # What the client brings is looked at also if nobody will ask for it.
            self.channel()

    def channel(self) -> Channel | None:
        """Return the request's channel, opened at the first call; None where there is no way back."""
        if self._channel is None:
            caller = self._caller
            if self._modern:
                self._channel = ModernChannel(self._request, caller.line, caller.principal, self._seal)
            elif caller.channel is not None:
                self._channel = caller.channel()
        return self._channel

    def context(self) -> Context:
        """Return a context for the user's code."""
        caller = self._caller
        meta = self._request.params.get("_meta")
        token = meta.get("progressToken") if type(meta) is dict else None
        return Context(
            principal=caller.principal,
            request=caller.http_request,
            state=self._state,
            tool=self._name,
            channel=self.channel,
            progress_token=token if is_progress_token(token) else None,
            line=caller.line,
        )

    def result_or_questions(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a run, or the `InputRequiredResult` of one that asked for more than it was told.

        Questions count also if the run's code caught the interruption: its result was then made without the answers.
        """
        channel = self._channel
        if channel is None or type(channel) is not ModernChannel:
            return result
        return channel.input_required() or result

    def result_after(self, error: BaseException) -> dict[str, Any]:
        """Return the questions that ended a run.

        Raises:
            BaseException: `error`, if it is something else.
        """
        # Side by side in a task group, interruptions come as a group.
        found = error.subgroup(Interrupted) if isinstance(error, BaseExceptionGroup) else error
        if found is not None and isinstance(found, Interrupted | BaseExceptionGroup):
            asked = self.result_or_questions({})
            if asked:
                return asked
        raise error
