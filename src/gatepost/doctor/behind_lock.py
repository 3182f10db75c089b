"""What clients do with a token: a session of the handshake era, requests of the modern one, and a long silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from gatepost.doctor import subscriptions
from gatepost.doctor.answers import NOT_ASKED, ProbeAnswer, printable
from gatepost.doctor.clients import CLIENTS
from gatepost.doctor.endpoint import ACCEPT, MODERN_VERSION, initialize, message, modern
from gatepost.doctor.findings import Check, DoctorFinding, Step, degraded, fails, note
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import HandshakeSeen, Seen
from gatepost.protocol.versions import HANDSHAKE

SILENCE_SECONDS: Final = 75.0
"""Longer than nginx, HAProxy, Apache and Varnish wait unless they are told otherwise (50 to 60 s)."""
_MODERN_CLIENTS: Final = ("claude-code", "copilot-cli", "mcp-python")
_SESSION_CLIENTS: Final = tuple(client.id for client in CLIENTS if client.id not in _MODERN_CLIENTS)
_UNKNOWN_SESSION: Final = "gatepost-doctor-has-none"


async def observe(seen: Seen, requester: Requester) -> None:
    """Speak both eras, with the token if there is one; an endpoint that asks for none is spoken to without."""
    if seen.token is None and seen.initialize.status != HTTPStatus.OK:
        return
    headers = _headers(seen)
    seen.handshake = await _session(seen.url, headers, requester)
    sent, body = modern("server/discover")
    seen.modern_discover = await requester.ask("POST", seen.url, {**headers, **sent}, body)
    sent, body = modern("tools/list")
    seen.modern_tools = await requester.ask("POST", seen.url, {**headers, **sent}, body)
    await subscriptions.observe(seen, headers, requester)


async def observe_silence(seen: Seen, requester: Requester, seconds: float = SILENCE_SECONDS) -> None:
    """Hold a stream on which nothing is asked for, until `seconds` are over or somebody ends it."""
    headers = _headers(seen)
    begun = await requester.ask("POST", seen.url, headers, initialize())
    session = begun.header("mcp-session-id")
    seen.silence_seconds = seconds
    if session is not None or _result(begun) is not None:
        in_session = _in_session(headers, begun)
        await requester.ask("POST", seen.url, in_session, _notification("notifications/initialized"))
        stream = {**in_session, "Accept": "text/event-stream"}
        stream.pop("Content-Type")
        seen.silence = await requester.listen("GET", seen.url, stream, b"", seconds=seconds)
        await _end(seen.url, in_session, requester)


def _headers(seen: Seen) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": ACCEPT}
    return headers if seen.token is None else {**headers, "Authorization": f"Bearer {seen.token}"}


async def _session(url: str, headers: Mapping[str, str], requester: Requester) -> HandshakeSeen:
    begun = await requester.ask("POST", url, headers, initialize())
    if _result(begun) is None:
        return HandshakeSeen(initialize=begun)
    inside = _in_session(headers, begun)
    without_version = {name: value for name, value in inside.items() if name != "MCP-Protocol-Version"}
    stream = {name: value for name, value in inside.items() if name != "Content-Type"}
    unknown = NOT_ASKED
    initialized = await requester.ask("POST", url, inside, _notification("notifications/initialized"))
    ping = await requester.ask("POST", url, inside, message("ping", identifier=2))
    tools = await requester.ask("POST", url, inside, message("tools/list", {}, identifier=3))
    tools_without = await requester.ask("POST", url, without_version, message("tools/list", {}, identifier=4))
    opened = await requester.ask("GET", url, {**stream, "Accept": "text/event-stream"})
    if "Mcp-Session-Id" in inside:
        other = {**inside, "Mcp-Session-Id": _UNKNOWN_SESSION}
        unknown = await requester.ask("POST", url, other, message("ping", identifier=5))
    await _end(url, inside, requester)
    return HandshakeSeen(begun, initialized, ping, tools, tools_without, opened, unknown)


async def _end(url: str, inside: Mapping[str, str], requester: Requester) -> None:
    if "Mcp-Session-Id" in inside:
        await requester.ask("DELETE", url, {name: value for name, value in inside.items() if name != "Content-Type"})


def _in_session(headers: Mapping[str, str], begun: ProbeAnswer) -> dict[str, str]:
    version = (_result(begun) or {}).get("protocolVersion")
    known = version if isinstance(version, str) and version in HANDSHAKE else next(iter(HANDSHAKE))
    inside = {**headers, "MCP-Protocol-Version": known}
    session = begun.header("mcp-session-id")
    if session is not None and session.isascii() and session.isprintable():
        inside["Mcp-Session-Id"] = session
    return inside


def _notification(method: str) -> bytes:
    return f'{{"jsonrpc":"2.0","method":"{method}"}}'.encode()


def _result(answer: ProbeAnswer) -> Mapping[str, Any] | None:
    result = (answer.message or {}).get("result")
    return result if answer.status == HTTPStatus.OK and isinstance(result, dict) else None


def _says(answer: ProbeAnswer) -> str:
    error = (answer.message or {}).get("error")
    code = f", error {printable(str(error.get('code')))}" if isinstance(error, dict) else ""
    return f"{answer.seen}{code}"


def _was_tried(seen: Seen) -> bool:
    return bool(seen.handshake.initialize.method)


def _token(seen: Seen) -> Iterable[DoctorFinding] | None:
    if seen.token is None or not _was_tried(seen):
        return None
    answer = seen.handshake.initialize
    is_refused = answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return fails(f"{answer.seen}, with the token") if is_refused else []


def _is_refused(seen: Seen) -> bool:
    return seen.handshake.initialize.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def _handshake(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not _was_tried(seen) or _is_refused(seen):
        return None
    seen_here = seen.handshake
    result = _result(seen_here.initialize)
    if result is None:
        return fails(_says(seen_here.initialize), _SESSION_CLIENTS)
    if result.get("protocolVersion") not in HANDSHAKE:
        version = printable(str(result.get("protocolVersion")))
        return fails(f"protocolVersion is {version}", _SESSION_CLIENTS)
    if not HTTPStatus.OK <= seen_here.initialized.status < HTTPStatus.MULTIPLE_CHOICES:
        return fails(f"{_says(seen_here.initialized)}, for notifications/initialized", _SESSION_CLIENTS)
    return []


def _in_a_session(seen: Seen) -> HandshakeSeen | None:
    return seen.handshake if _result(seen.handshake.initialize) is not None else None


def _ping(seen: Seen) -> Iterable[DoctorFinding] | None:
    session = _in_a_session(seen)
    if session is None:
        return None
    return [] if _result(session.ping) is not None else fails(_says(session.ping), ("gemini-cli",))


def _tools(seen: Seen) -> Iterable[DoctorFinding] | None:
    session = _in_a_session(seen)
    if session is None:
        return None
    listed = (_result(session.tools) or {}).get("tools")
    if isinstance(listed, list):
        return []
    error = (session.tools.message or {}).get("error")
    has_none = isinstance(error, dict) and error.get("code") == -32601  # noqa: PLR2004 - method not found (JSON-RPC)
    return note(f"{_says(session.tools)}: it has no tools") if has_none else fails(_says(session.tools))


def _without_version(seen: Seen) -> Iterable[DoctorFinding] | None:
    session = _in_a_session(seen)
    if session is None or _result(session.tools) is None:
        return None
    answer = session.tools_without_version
    return [] if _result(answer) is not None else fails(_says(answer), ("gemini-cli",))


def _stream(seen: Seen) -> Iterable[DoctorFinding] | None:
    session = _in_a_session(seen)
    if session is None:
        return None
    is_right = session.stream.status in {HTTPStatus.OK, HTTPStatus.METHOD_NOT_ALLOWED}
    return [] if is_right else degraded(_says(session.stream), _SESSION_CLIENTS)


def _unknown_session(seen: Seen) -> Iterable[DoctorFinding] | None:
    session = _in_a_session(seen)
    if session is None or not session.unknown_session.method:
        return None
    is_right = session.unknown_session.status == HTTPStatus.NOT_FOUND
    return [] if is_right else degraded(_says(session.unknown_session), _SESSION_CLIENTS)


def _modern_era(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.modern_discover.method or _is_refused(seen):
        return None
    result = _result(seen.modern_discover)
    if result is not None:
        listed = _result(seen.modern_tools)
        is_whole = MODERN_VERSION in (result.get("supportedVersions") or ())
        return [] if is_whole and listed is not None else fails(_says(seen.modern_tools), _MODERN_CLIENTS)
    said = f"{_says(seen.modern_discover)}, for server/discover"
    answer = seen.modern_discover
    if answer.is_server_error or not answer.status:
        return fails(said, _MODERN_CLIENTS)
    return note(f"{said}: it speaks the handshake era alone")


def _silence(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.silence
    if not answer.method or answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return None
    if answer.problem == "open":
        return []
    if answer.status != HTTPStatus.OK:
        return degraded(_says(answer), _SESSION_CLIENTS)
    return degraded(f"the stream ended after {answer.seconds:.0f} of {seen.silence_seconds:.0f} s of silence")


STEP: Final = Step(
    "Behind the lock",
    (
        Check(
            id="token-accepted",
            title="the token opens the MCP URL",
            why="A token that was issued for another resource, or has ended, does not count (MCP authorization, Token "
            "Handling).",
            change="Look at issuer, audience and end of the token. Gatepost: docs/reasons.md, gatepost audit.",
            look=_token,
        ),
        Check(
            id="handshake",
            title="a session begins: initialize and notifications/initialized",
            why="codex, gemini-cli, opencode and mcp-remote speak the handshake era (2025-11-25 basic/lifecycle).",
            change="Answer initialize with a protocolVersion that the client can speak, and notifications with 202.",
            look=_handshake,
        ),
        Check(
            id="ping",
            title="ping is answered",
            why="gemini-cli looks with it whether a server lives (2025-11-25 basic/utilities/ping).",
            change="Answer ping with an empty result.",
            look=_ping,
        ),
        Check(
            id="tools-list",
            title="tools/list is answered",
            why="It is what every client asks for next.",
            change="The server's log says what went wrong.",
            look=_tools,
        ),
        Check(
            id="without-version-header",
            title="a request without MCP-Protocol-Version is answered",
            why="gemini-cli never sends the header; a server has to assume 2025-03-26 then (2025-11-25 "
            "basic/transports, Protocol Version Header).",
            change="Take a request in a session without the header.",
            look=_without_version,
        ),
        Check(
            id="session-stream",
            title="GET in a session opens a stream, or is answered 405",
            why="Clients open it for what the server has to say by itself; other answers make some of them begin again "
            "and again (2025-11-25 basic/transports, Listening for Messages).",
            change="Open an event stream, or answer 405.",
            look=_stream,
        ),
        Check(
            id="unknown-session",
            title="a session that is not known is answered 404",
            why="It is the sign to begin a new one, after a restart or on another replica; with another status clients "
            "keep the dead session (2025-11-25 basic/transports, Session Management).",
            change="Answer 404, or keep sessions where every process finds them.",
            look=_unknown_session,
        ),
        Check(
            id="modern-era",
            title="server/discover and tools/list are answered, without a session",
            why="Claude Code, Copilot CLI, the official Python client and most agent frameworks begin with "
            "server/discover (2026-07-28), and fall back to initialize where an error says that it is not known.",
            change="Serve revision 2026-07-28, or answer 400 with a JSON-RPC error. The official SDKs speak it from "
            "their second version on.",
            look=_modern_era,
        ),
        subscriptions.CHECK,
        Check(
            id="silence",
            title="a silent stream is not cut",
            why="Proxies end connections on which nothing comes: nginx, HAProxy, Apache and Varnish after 50 to 60 s. "
            "A call that takes longer is lost then.",
            change="Send a comment every 15 s, as Gatepost does, or raise the proxy's time-out (docs/proxies.md).",
            look=_silence,
        ),
    ),
)
