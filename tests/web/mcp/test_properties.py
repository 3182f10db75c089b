"""Whatever is sent, the MCP endpoint answers, and never with a fault of its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gatepost.server.handler_target import HandlerTarget
from tests.web.mcp.mcp_harness import MODERN_META, READER, McpWorld, headers_for

VERSIONS = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "v999", "", "\xff"]
METHODS = ["tools/call", "tools/list", "server/discover", "initialize", "ping", "notifications/initialized", "x", ""]
NAMES = [
    b"host",
    b"origin",
    b"accept",
    b"content-type",
    b"authorization",
    b"mcp-protocol-version",
    b"mcp-method",
    b"mcp-name",
    b"mcp-param-a",
    b"mcp-session-id",
    b"last-event-id",
    b"content-length",
    b"cookie",
]
VALUES = [
    b"mcp.example.com",
    b"https://app.example",
    b"*/*",
    b"application/json",
    b"Bearer " + READER.encode(),
    b"2026-07-28",
    b"2025-11-25",
    b"tools/call",
    b"add",
    b"=?base64?YWRk?=",
    b"=?base64?",
    b"",
    b" ",
    b"\xff",
    b"0",
    b",;=",
]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "io.modelcontextprotocol/protocolVersion": st.sampled_from(VERSIONS) | anything,
        "io.modelcontextprotocol/clientCapabilities": st.just({}) | anything,
        "io.modelcontextprotocol/clientInfo": st.just(MODERN_META["io.modelcontextprotocol/clientInfo"]) | anything,
        "io.modelcontextprotocol/logLevel": st.just("info") | anything,
        "progressToken": anything,
    },
)
params = st.fixed_dictionaries(
    {},
    optional={
        "_meta": st.just(MODERN_META) | metadata | anything,
        "name": st.sampled_from(["add", "write", "fail"]) | anything,
        "arguments": st.fixed_dictionaries({}, optional={"a": anything, "b": anything}) | anything,
        "protocolVersion": st.sampled_from(VERSIONS) | anything,
        "cursor": anything,
    },
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | anything,
        "id": st.integers(0, 5) | anything,
        "method": st.sampled_from(METHODS) | anything,
        "params": params | anything,
        "result": anything,
        "error": anything,
    },
)
likely_requests = st.builds(
    lambda method, given: {"jsonrpc": "2.0", "id": 1, "method": method, "params": given},
    st.sampled_from(METHODS),
    params,
)
bodies = st.one_of(
    st.binary(max_size=64),
    messages.map(json.dumps).map(str.encode),
    likely_requests.map(json.dumps).map(str.encode),
    anything.map(json.dumps).map(str.encode),
)
honest_headers = st.builds(
    headers_for,
    version=st.none() | st.sampled_from(VERSIONS),
    method=st.none() | st.sampled_from(METHODS),
    name=st.none() | st.sampled_from(["add", "=?base64?YWRk?=", "", "x"]),
)
odd_headers = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.binary(max_size=12)), max_size=4)


def strange(request: dict[str, Any]) -> Any:
    """A handler that answers in ways that depend on the request and are often wrong."""
    outcome = len(json.dumps(request)) % 5
    if outcome == 0:
        raise ValueError
    return [None, {"jsonrpc": "2.0", "id": request.get("id"), "result": {}}, request, [request], "x"][outcome]


SERVED = McpWorld(is_guarded=False)
GUARDED = McpWorld()
HANDLED = McpWorld(HandlerTarget(strange, name="strange"), is_guarded=False)


def check(world: McpWorld, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send it and look at what every answer has to be."""
    answer = asyncio.run(world.send(body, headers))
    assert answer is not None
    assert answer.status < 500
    assert (answer.status == 202) == (answer.raw == b"")
    if answer.raw and "www-authenticate" not in answer.headers:
        assert answer.body["jsonrpc"] == "2.0"
        assert ("result" in answer.body) != ("error" in answer.body)
        assert answer.body.get("id", "") is not None


@given(bodies, honest_headers, odd_headers)
def test_no_body_and_no_headers_make_the_endpoint_fail(
    body: bytes, headers: list[tuple[bytes, bytes]], more: list[tuple[bytes, bytes]]
) -> None:
    check(SERVED, body, headers + more)
    check(GUARDED, body, headers + more)


@given(odd_headers, bodies)
def test_headers_made_of_anything_do_not_either(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    check(GUARDED, body, headers)


@given(bodies, honest_headers)
def test_a_handler_that_answers_strangely_does_not_either(body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    check(HANDLED, body, headers)
