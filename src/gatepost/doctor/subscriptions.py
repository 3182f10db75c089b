"""What clients of the modern era hear of changes: the stream that `subscriptions/listen` opens.

2026-07-28 basic/patterns/subscriptions. The first message says what the server will tell; a stream on which it does not
come, or which ends, leaves a client with the tools that it listed when it began.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from gatepost.doctor.answers import ProbeAnswer, printable
from gatepost.doctor.endpoint import modern
from gatepost.doctor.findings import Check, DoctorFinding, degraded, note
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Seen

LISTENERS: Final = ("claude-code", "copilot-cli")
"""Who was recorded listening, for changes of the list of tools."""
_METHOD: Final = "subscriptions/listen"
_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
_SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"
_METHOD_NOT_FOUND: Final = -32601
_IDENTIFIER: Final = 1
"""Of the request, as `endpoint.message` gives it."""


async def observe(seen: Seen, headers: Mapping[str, str], requester: Requester) -> None:
    """Listen as those clients do, until the first message; for a server that has answered server/discover."""
    if _capabilities(seen) is not None:
        sent, body = modern(_METHOD, notifications={"toolsListChanged": True})
        seen.listening = await requester.first_event("POST", seen.url, {**headers, **sent}, body)


def _capabilities(seen: Seen) -> Mapping[str, Any] | None:
    result = (seen.modern_discover.message or {}).get("result")
    if seen.modern_discover.status != HTTPStatus.OK or not isinstance(result, dict):
        return None
    capabilities = result.get("capabilities")
    return capabilities if isinstance(capabilities, dict) else {}


def _promises(seen: Seen) -> bool:
    """Say whether the server declares that it tells of changes of its tools."""
    tools = (_capabilities(seen) or {}).get("tools")
    return isinstance(tools, dict) and tools.get("listChanged") is True


def _look(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.listening
    if not answer.method:
        return None
    said = f"{answer.seen}, for {_METHOD}"
    if answer.status == HTTPStatus.OK and answer.media_type == "text/event-stream":
        fault = _fault_of_stream(answer)
        return degraded(f"{said}: {fault}", LISTENERS) if fault else []
    error = (answer.message or {}).get("error")
    if isinstance(error, dict) and error.get("code") == _METHOD_NOT_FOUND and not _promises(seen):
        return note(f"{said}: it tells nobody of changes, and declares none")
    return degraded(said, LISTENERS)


def _fault_of_stream(answer: ProbeAnswer) -> str:
    """Return what is wrong with the stream, or nothing."""
    first = first_message(answer.body)
    if first is None:
        return answer.problem or "it ended before its first message"
    if first.get("method") != _ACKNOWLEDGED:
        kind = first.get("method") or "a response"
        return f"its first message is {printable(str(kind))}"
    params = first.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    if not isinstance(meta, dict) or meta.get(_SUBSCRIPTION_ID) != _IDENTIFIER:
        return "its first message does not say of which subscription it is"
    return "" if answer.problem == "open" else "it ended after its first message"


def first_message(body: bytes) -> Mapping[str, Any] | None:
    """Return the first JSON-RPC message of an event stream; None before it has come."""
    *whole, _rest = body.replace(b"\r\n", b"\n").split(b"\n\n")
    for event in whole:
        lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        try:
            message = json.loads(b"\n".join(lines)) if lines else None
        except (ValueError, RecursionError):
            return {}
        if message is not None:
            return message if isinstance(message, dict) else {}
    return None


CHECK: Final = Check(
    id="listening",
    title="a stream for changes (subscriptions/listen) begins with its acknowledgment and stays open",
    why="Claude Code and Copilot CLI listen for changes of the tools (2026-07-28 basic/patterns/subscriptions). "
    "Without the stream a tool that is added stays unknown to them until they connect again; one that ends is opened "
    "again and again.",
    change="Answer with an event stream, send notifications/subscriptions/acknowledged with the subscriptionId at "
    "once, and keep it open. If it comes late or never, a proxy collects the answer: nginx needs proxy_buffering off, "
    "or the header X-Accel-Buffering: no (docs/proxies.md).",
    look=_look,
)
