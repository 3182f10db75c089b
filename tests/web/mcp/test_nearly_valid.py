"""What is nearly valid is answered as the transport allows, in both eras, inside sessions and outside.

Each example is an honest request, changed in a place or two. Requests that nobody would take for MCP are in
`test_mcp_properties`.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from gatepost.protocol.versions import REVISION_2025_11_25
from gatepost.server.declared.completion import Completion
from tests.web.mcp.mcp_harness import MODERN_META, READER, STRANGER
from tests.web.mcp.sessions.session_world import Connection, SessionWorld, call, principal

Headers = list[tuple[bytes, bytes]]

MODERN = "2026-07-28"
HANDSHAKE = ["2025-11-25", "2025-06-18", "2025-03-26"]
CAPABILITIES: dict[str, Any] = {"sampling": {}, "elicitation": {"form": {}}, "roots": {}}
META = {**MODERN_META, "io.modelcontextprotocol/clientCapabilities": CAPABILITIES, "progressToken": "p"}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
PROMPT = {"type": "ref/prompt", "name": "hello"}
TEMPLATE = {"type": "ref/resource", "uri": "note://{number}"}
LISTEN = "subscriptions/listen"
HONEST: list[tuple[str, dict[str, Any]]] = [
    ("initialize", INITIALIZE),
    ("ping", {}),
    ("server/discover", {}),
    ("tools/list", {}),
    ("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}),
    ("tools/call", {"name": "write", "arguments": {"text": "x"}}),
    ("tools/call", {"name": "steps", "arguments": {}}),
    ("tools/call", {"name": "whisper", "arguments": {}}),
    ("tools/call", {"name": "fail", "arguments": {}}),
    ("tools/call", {"name": "region", "arguments": {"region": "eu"}}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "note://1"}),
    ("resources/read", {"uri": "note://secret"}),
    ("resources/subscribe", {"uri": "note://1"}),
    ("resources/unsubscribe", {"uri": "note://1"}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "hello", "arguments": {"who": "Ann"}}),
    ("completion/complete", {"ref": PROMPT, "argument": {"name": "who", "value": "A"}}),
    ("completion/complete", {"ref": TEMPLATE, "argument": {"name": "number", "value": ""}, "context": {}}),
    ("logging/setLevel", {"level": "info"}),
    (LISTEN, {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["note://1"]}}),
    ("tasks/get", {"taskId": "x"}),
]
ASKING = ("tools/call", {"name": "colour", "arguments": {}})
"""Asks its client: in the modern era with its result, in a session whose client cannot answer with an error."""
NOTIFICATIONS: list[tuple[str, dict[str, Any]]] = [
    ("notifications/initialized", {}),
    ("notifications/cancelled", {"requestId": 1, "reason": "enough"}),
    ("notifications/progress", {"progressToken": "p", "progress": 1}),
    ("notifications/roots/list_changed", {}),
]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "\x00",
    "\ud800",
    "\u202e",
    "note://2",
    "note://../x",
    "2025-11-25",
    "2099-01-01",
    "x" * 300,
    [],
    [{}],
    {},
    {"a": None},
    {"name": "hello"},
]
ODD_HEADERS: dict[bytes, list[bytes]] = {
    b"mcp-method": [b"tools/call", b"TOOLS/CALL", b"", b"\xff", b"tools/call, tools/call"],
    b"mcp-name": [b"add", b"", b"=?base64?YWRk?=", b"=?base64?!?=", b"=?base64?YWRk", b"\xff", b"a b"],
    b"mcp-param-region": [b"eu", b"us", b"", b"=?base64?ZXU=?=", b"=?base64?", b"\xff"],
    b"mcp-param-x": [b"1"],
    b"mcp-protocol-version": [b"2026-07-28", b"2025-06-18", b"2024-11-05", b"2099-01-01", b"", b"\xff"],
    b"accept": [b"application/json", b"text/event-stream", b"*/*", b"text/html", b"", b"application/json;q=0", b",;="],
    b"content-type": [b"application/json; charset=utf-8", b"text/plain", b"application/jsonx", b"", b"\xff"],
    b"mcp-session-id": [b"", b"x", b"\xff", b"gp_ms_" + b"A" * 43],
    b"last-event-id": [b"x.1"],
    b"content-length": [b"0", b"-1", b"x"],
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client sends, before it is known which session and which events there are."""

    method: str
    message: Any
    headers: Headers
    token: str | None
    session: str
    event: str = ""


@st.composite
def nearly(draw: st.DrawFn, honest: dict[str, Any]) -> Any:
    """An honest message, changed in up to two places."""
    message: Any = copy.deepcopy(honest)
    for _ in range(draw(st.integers(0, 2))):
        container, key = draw(st.sampled_from(list(places(message))))
        what = draw(st.sampled_from(["replace", "replace", "drop", "add", "rename"]))
        if what == "replace":
            container[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif what == "add":
            container["x"] = copy.deepcopy(draw(st.sampled_from(ODD)))
        else:
            value = container.pop(key)
            if what == "rename":
                container[key + "s"] = value
        if not message:
            break
    return message


def places(message: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every member of a message and of what is in it."""
    for key, value in message.items():
        yield message, key
        if isinstance(value, dict):
            yield from places(value)


@st.composite
def nearly_right(draw: st.DrawFn, honest: Headers) -> Headers:
    """Honest headers, changed in up to two places."""
    headers = list(honest)
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(ODD_HEADERS)))
        what = draw(st.sampled_from(["replace", "drop", "repeat"]))
        if what != "repeat":
            headers = [header for header in headers if header[0] != name]
        if what != "drop":
            headers.append((name, draw(st.sampled_from(ODD_HEADERS[name]))))
    return headers


def headers_of(method: str, params: dict[str, Any], version: str | None) -> Headers:
    """What an honest client sends along."""
    given = {"host": "mcp.example.com", "accept": "application/json, text/event-stream"}
    given["content-type"] = "application/json"
    if version is not None:
        given["mcp-protocol-version"] = version
    if version == MODERN:
        given["mcp-method"] = method
        if name := params.get("name") or params.get("uri"):
            given["mcp-name"] = name
        if region := params.get("arguments", {}).get("region"):
            given["mcp-param-region"] = region
    return [(name.encode(), value.encode()) for name, value in given.items()]


tokens = st.sampled_from([READER, READER, READER, STRANGER, None, "gp_at_" + "A" * 43, "x", ""])
sessions = st.sampled_from(["own", "own", "own", "", "foreign", "ended"])


@st.composite
def posts(draw: st.DrawFn) -> Sent:
    """A message of either era, in a session or outside."""
    version = draw(st.sampled_from([MODERN, MODERN, *HANDSHAKE, None]))
    is_modern = version == MODERN
    method, params = draw(st.sampled_from([*HONEST, ASKING, *NOTIFICATIONS]))
    honest: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": copy.deepcopy(params)}
    if not method.startswith("notifications/"):
        honest["id"] = draw(st.sampled_from([1, "one"]))
    if is_modern:
        honest["params"]["_meta"] = META
    if not is_modern and draw(st.integers(0, 9)) == 0:
        honest = {"jsonrpc": "2.0", "id": "ask_1", "result": {"action": "accept"}}
    return Sent(
        "POST",
        draw(nearly(honest)),
        draw(nearly_right(headers_of(method, params, version))),
        draw(tokens),
        "" if is_modern and draw(st.booleans()) else draw(sessions),
    )


@st.composite
def gets(draw: st.DrawFn) -> Sent:
    """A client that listens, or takes a stream up; or one that ends its session."""
    event = draw(
        st.sampled_from(["", "known", "known", "foreign", "far", "x", ".1", "x.", "x.-1", "1.1.1", "\xff", "é"])
    )
    headers = draw(nearly_right(headers_of("", {}, draw(st.sampled_from([*HANDSHAKE, MODERN, None])))))
    return Sent(
        draw(st.sampled_from(["GET", "GET", "GET", "DELETE"])), None, headers, draw(tokens), draw(sessions), event
    )


class World(SessionWorld):
    """An endpoint with everything, a session of the client's own, and one of somebody else's."""

    def __init__(self, *, is_guarded: bool) -> None:
        super().__init__(is_guarded=is_guarded)
        server = self.server

        @server.tool
        async def region(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
            return region

        async def names(value: str) -> Completion:
            return Completion([value + "nn"])

        @server.prompt(completions={"who": names})
        async def hello(who: str) -> str:
            return who

        @server.resource("note://{number}", completions={"number": ["1", "2"]})
        async def numbered(number: int) -> str:
            return str(number)

    async def event_of(self, session: str) -> str:
        """The id of an event of a session."""
        streamed = await self.open(call("steps", progressToken="p"), session=session).ended()
        found = streamed.events[1].id
        assert found is not None
        return found

    async def exchange(self, sent: Sent) -> Connection:
        """Send it; where the answer lasts until the client leaves, leave."""
        own = await self.begin()
        foreign, _ = await self.era.services.sessions.start(principal("eve"), REVISION_2025_11_25, {})
        assert foreign is not None
        ended = await self.begin()
        await self.send(None, session=ended, method="DELETE")
        session = {"own": own, "foreign": foreign, "ended": ended}.get(sent.session)
        headers = list(sent.headers)
        if session is not None:
            headers.append((b"mcp-session-id", session.encode()))
        if sent.token is not None:
            headers.append((b"authorization", f"Bearer {sent.token}".encode()))
        if sent.event:
            event = await self.event_of(own) if sent.event in {"known", "far"} else sent.event
            if sent.event == "foreign":
                event = await self.event_of(await self.begin())
            headers.append((b"last-event-id", (event + "9" * 9 * (sent.event == "far")).encode("latin-1")))
        body = b"" if sent.method != "POST" else json.dumps(sent.message).encode()
        connection = self.open_raw(sent.method, headers, body)
        if sent.method == "GET" or (isinstance(sent.message, dict) and sent.message.get("method") == LISTEN):
            await connection.until(lambda: connection.status > 0)
            connection.gone.set()
        await connection.finished()
        return connection


def check(sent: Sent, answer: Connection) -> None:
    """Look at what every answer has to be."""
    content_type = answer.headers.get("content-type", "")
    assert answer.status in {200, 202, 400, 401, 403, 404, 405, 406, 409, 413, 415}
    assert ("www-authenticate" in answer.headers) >= (answer.status == 401)
    assert ("allow" in answer.headers) >= (answer.status == 405)
    if answer.status != 200:
        assert not content_type.startswith("text/event-stream")
    if sent.method == "DELETE" or answer.status == 202:
        assert answer.status != 202 or (sent.method, bytes(answer.raw)) == ("POST", b"")
        return
    request_id = sent.message.get("id") if isinstance(sent.message, dict) else None
    if content_type.startswith("text/event-stream"):
        assert answer.status == 200
        check_messages(sent, answer.messages, request_id)
    elif "www-authenticate" in answer.headers:
        # RFC 6750, and JSON-RPC where a tool asked for more scopes.
        assert answer.status in {400, 401, 403}
    elif answer.raw:
        check_messages(sent, [answer.body], request_id)


def check_messages(sent: Sent, messages: list[Any], request_id: Any) -> None:
    """A stream holds notifications, then at most one response; another answer is a response alone."""
    for message in messages[:-1]:
        assert "method" in message
    for message in messages:
        assert message["jsonrpc"] == "2.0"
        assert message.get("id", "") is not None
        if "method" not in message:
            assert ("result" in message) != ("error" in message)
            # The answer to a GET is of an earlier request, and what is no request has no id to repeat.
            assert sent.method == "GET" or "id" not in message or message["id"] == request_id


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples."""
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="module", params=[True, False], ids=["guarded", "open"])
def world(request: pytest.FixtureRequest, runner: asyncio.Runner) -> World:
    """One world for all examples; each has sessions of its own in it."""

    async def build() -> World:
        return World(is_guarded=request.param)

    return runner.run(build())


@settings(max_examples=300, deadline=None)
@given(sent=posts())
def test_a_message_that_is_nearly_valid_is_answered_as_the_transport_allows(
    world: World, runner: asyncio.Runner, sent: Sent
) -> None:
    check(sent, runner.run(world.exchange(sent)))


@settings(max_examples=120, deadline=None)
@given(sent=gets())
def test_a_stream_that_is_nearly_there_is_answered_as_the_transport_allows(
    world: World, runner: asyncio.Runner, sent: Sent
) -> None:
    check(sent, runner.run(world.exchange(sent)))
