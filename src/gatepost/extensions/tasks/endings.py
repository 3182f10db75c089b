"""How tasks end: what the client finds (ext-tasks, "Task Execution Errors")."""

from __future__ import annotations

import logging
from typing import Any, Final

from gatepost.protocol.errors import InternalError, InvalidJsonRpcRequest, ProtocolError
from gatepost.protocol.json_encoding import encode
from gatepost.server.errors import InsufficientScope
from gatepost.stores.contract.tasks import TaskEnding, TaskStatus
from gatepost.telemetry.request_ids import incident_id
from gatepost.tokens.opaque import RandomBytes

OUT_OF_TIME: Final = InternalError("The task took longer than its time to live.")
STOPPED: Final = InternalError("The server stopped while the task ran.")
LOST: Final = InternalError("The process that ran the task ended before it did.")
UNKNOWN_TOOL: Final = InternalError("The server that would run the task again has no such tool any more.")
NO_RESULT: Final = InternalError("The call asked its client something while it became a task.")
UNTOLD: Final = InternalError("It could not be told whether the task was kept.")
LEFT: Final = TaskEnding(TaskStatus.CANCELLED, message="Its client left before it was answered.")
ACCESS_TAKEN: Final = TaskEnding(
    TaskStatus.CANCELLED, message="The access that the task was called with was taken back."
)

_log: Final = logging.getLogger("gatepost.tasks")


def ending_after(result: Any, most_bytes: int) -> TaskEnding:
    """Return how a task ends whose call has this result."""
    if type(result) is dict and result.get("resultType") == "input_required":
        # The caller was told of a task by then, and nobody would send the call again with the answers.
        return ending_with(NO_RESULT)
    written = encode(result)
    if len(written) > most_bytes:
        return ending_with(InternalError(f"The result is larger than what is kept of a task, {most_bytes} bytes."))
    return TaskEnding(TaskStatus.COMPLETED, written)


def ending_with(error: BaseException, random_bytes: RandomBytes | None = None) -> TaskEnding:
    """Return how a task ends whose call raised; what nobody expects is logged, under the id that the client is told."""
    if isinstance(error, InsufficientScope):
        data = {"error": "insufficient_scope", "scope": " ".join(sorted(error.scopes))}
        error = InvalidJsonRpcRequest("The access token lacks a scope that this operation needs.", data=data)
    if not isinstance(error, ProtocolError):
        assert random_bytes is not None  # noqa: S101 - those that are given without are of the protocol; tells mypy
        incident = incident_id(random_bytes)
        _log.error("a task failed, incident %s", incident, exc_info=error, extra={"incident": incident})
        error = InternalError(f"The server failed at this. Incident {incident}.")
    return TaskEnding(TaskStatus.FAILED, encode(error.body()), error.message)
