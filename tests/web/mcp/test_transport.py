"""What the MCP endpoint asks of the HTTP around a message (security.md, "MCP transport")."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Receive

from gatepost.web.site.front_door import HOST_FOREIGN
from gatepost.web.site.request_body import BodyTooSlow
from tests.web.mcp.mcp_harness import HOST, PING, READER, McpWorld, headers_for, replaced, without


def refusal(message: str) -> dict[str, Any]:
    """The body of a refusal that comes before the message counts: a JSON-RPC error without an id."""
    return {"jsonrpc": "2.0", "error": {"code": -32600, "message": message}}


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD"])
async def test_other_http_methods_are_not_allowed(method: str) -> None:
    answer = await McpWorld().post({}, method=method)

    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST, OPTIONS", refusal("Send POST."))
    assert (await McpWorld().post({}, headers_for(token=None), method=method)).status == 401


@pytest.mark.parametrize("token", [READER, None])
async def test_plain_options_names_the_methods_and_needs_no_token(token: str | None) -> None:
    """RFC 9110 section 9.3.7; what asks for CORS is answered in front."""
    answer = await McpWorld().post({}, headers_for(token=token), method="OPTIONS")

    assert (answer.status, answer.headers["allow"], answer.body) == (204, "POST, OPTIONS", None)
    assert "content-length" not in answer.headers
    foreign = await McpWorld().post({}, [(b"host", b"evil.example")], method="OPTIONS")
    assert foreign.status == 421


@pytest.mark.parametrize("host", [b"evil.example", b"mcp.example.com:8000", b"", b"\xff"])
async def test_a_foreign_host_is_misdirected_before_a_token_is_looked_at(host: bytes) -> None:
    answer = await McpWorld().post(PING, [(b"host", host)])

    assert (answer.status, answer.body) == (421, refusal(HOST_FOREIGN))
    for setting in ("MCP_PUBLIC_URL", "MCP_ALLOWED_HOSTS"):
        assert setting in HOST_FOREIGN


async def test_the_log_says_which_host_it_was_unless_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gatepost.mcp")
    for host in (b"mcp.internal:8000", b"a\tb", b"x" * 101, b""):
        await McpWorld().post(PING, [(b"host", host)])

    logged = [record.__dict__["host"] for record in caplog.records if "host" in record.__dict__]
    assert logged == ["mcp.internal:8000", None, None, None]


async def test_a_request_without_a_host_is_misdirected() -> None:
    assert (await McpWorld().post(PING, without(b"host"))).status == 421


@pytest.mark.parametrize("host", [HOST, b"MCP.Example.COM"])
async def test_our_own_host_is_known_in_any_case(host: bytes) -> None:
    assert (await McpWorld().post(PING, replaced(b"host", host))).status == 200


@pytest.mark.parametrize(
    "origin",
    [b"https://evil.example", b"null", b"", b"https://app.example.evil.example", b"http://localhost.evil", b"\xff"],
)
async def test_pages_of_other_sites_are_refused_without_an_id(origin: bytes) -> None:
    answer = await McpWorld().post(PING, [*headers_for(token=None), (b"origin", origin)])

    assert (answer.status, answer.body["error"]["code"]) == (403, -32600)
    assert "MCP_ALLOWED_ORIGINS" in answer.body["error"]["message"]
    assert "evil" not in answer.body["error"]["message"]
    assert "id" not in answer.body


@pytest.mark.parametrize("origin", [b"https://app.example", b"http://localhost:6274", b"http://[::1]:1"])
async def test_pages_of_named_and_loopback_origins_may_call(origin: bytes) -> None:
    assert (await McpWorld().post(PING, [*headers_for(), (b"origin", origin)])).status == 200


@pytest.mark.parametrize("name", [b"host", b"origin", b"content-type"])
async def test_a_header_that_decides_something_may_not_stand_twice(name: bytes) -> None:
    answer = await McpWorld().post(PING, [*headers_for(), (name, b"x"), (name, b"x")])

    assert (answer.status, answer.body) == (400, refusal(f"The header {name.decode()} stands in the request twice."))


@pytest.mark.parametrize("name", [b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-param-region"])
async def test_a_mirror_of_the_body_may_not_stand_twice(name: bytes) -> None:
    answer = await McpWorld().post(PING, [*headers_for(), (name, b"x"), (name, b"x")])

    assert (answer.status, answer.body["error"]["code"]) == (400, -32020)


async def test_two_authorization_headers_are_refused_even_when_one_was_verified_before() -> None:
    world = McpWorld()
    await world.post(PING)

    answer = await world.post(PING, [*headers_for(), (b"authorization", b"Bearer other")])

    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


async def test_headers_that_decide_nothing_may_stand_twice() -> None:
    headers = [
        *replaced(b"accept", b"text/html"),
        (b"accept", b"application/json"),
        (b"cookie", b"a"),
        (b"cookie", b"b"),
    ]

    assert (await McpWorld().post(PING, headers)).status == 200


@pytest.mark.parametrize(
    "content_type", [b"text/plain", b"application/json; charset=latin-1", b"", b"application/jsonp"]
)
async def test_another_content_type_is_refused(content_type: bytes) -> None:
    answer = await McpWorld().post(PING, replaced(b"content-type", content_type))

    assert (answer.status, answer.body) == (415, refusal("Send Content-Type: application/json."))


async def test_a_client_that_does_not_take_json_is_refused() -> None:
    answer = await McpWorld().post(PING, replaced(b"accept", b"text/event-stream"))

    assert (answer.status, answer.body) == (406, refusal("Send Accept: application/json, text/event-stream."))


async def test_a_body_that_does_not_come_is_refused_and_the_connection_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_body(_receive: Receive, *, limit: int) -> bytes:
        del limit
        raise BodyTooSlow

    monkeypatch.setattr("gatepost.web.mcp.endpoint.read_body", read_body)
    answer = await McpWorld().post(PING)

    assert (answer.status, answer.body) == (408, refusal("Send the whole body at once."))
    assert answer.headers["connection"] == "close"


async def test_a_body_beyond_the_limit_is_refused() -> None:
    answer = await McpWorld(body_limit=100).post({**PING, "params": {"x": "y" * 100}})

    assert (answer.status, answer.body) == (413, refusal("Send at most 100 bytes."))
