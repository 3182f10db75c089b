"""Headers that mirror arguments of tools behind a front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.fronts import mirrored_headers
from gatepost.fronts.mirrored_headers import MirroredHeaders
from gatepost.protocol.errors import HeaderMismatch
from gatepost.protocol.json_encoding import encode
from tests.fronts.front_world import Front, fronting
from tests.web.mcp.sessions.session_world import text_of

HTTP = {b"mcp-method": b"tools/call"}


def listing(**headers: str) -> bytes:
    """Return a list of tools with an argument that a header mirrors."""
    tools = [
        {
            "name": name,
            "inputSchema": {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": header}}},
        }
        for name, header in headers.items()
    ]
    return encode({"tools": tools})


async def echo(front: Front, **headers: Any) -> Any:
    return await front.modern_call("echo", {"text": "hi"}, **headers)


@pytest.mark.parametrize("value", [None, "ho", "=?base64?aGk?=", "=?base64?!!!!?="])
async def test_a_call_whose_headers_say_something_else_than_its_arguments_reaches_no_server(
    tmp_path: Path, value: str | None
) -> None:
    async with fronting(tmp_path, "--mirrors") as front:
        await front.modern("tools/list")
        params = {"name": "echo", "arguments": {"text": "hi"}}
        headers: dict[str, Any] = {} if value is None else {"mcp_param_text": value}
        refused = await front.open_modern("tools/call", params, **headers).ended()

        assert refused.status == 400
        assert refused.body["error"]["code"] == HeaderMismatch.code == -32020
        assert front.sent("tools/call") == []


@pytest.mark.parametrize("value", ["hi", "=?base64?aGk=?="])
async def test_a_call_whose_headers_mirror_its_arguments_is_carried_out(tmp_path: Path, value: str) -> None:
    async with fronting(tmp_path, "--mirrors") as front:
        await front.modern("tools/list")

        assert text_of(await echo(front, mcp_param_text=value)) == "hi"


async def test_a_tool_that_nobody_has_seen_in_a_list_has_no_headers_that_are_known(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--mirrors") as front:
        assert text_of(await echo(front)) == "hi"


async def test_sessions_have_no_headers_that_mirror_arguments(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--mirrors") as front:
        await front.modern("tools/list")
        session = await front.begin()

        assert text_of(await front.call(session, "echo", {"text": "hi"})) == "hi"


def test_a_list_replaces_what_an_earlier_one_said() -> None:
    known = MirroredHeaders()
    known.note(None, listing(one="One", two="Two"))
    known.note(None, encode({"tools": [{"name": "one", "inputSchema": {"type": "object"}}]}))

    known.check(None, {"name": "one", "arguments": {"a": "x"}}, HTTP)
    with pytest.raises(HeaderMismatch, match="mcp-param-two is missing"):
        known.check(None, {"name": "two", "arguments": {"a": "x"}}, HTTP)


def test_one_users_tools_are_none_of_anothers() -> None:
    known = MirroredHeaders()
    known.note(("local", "ann"), listing(one="One"))

    known.check(("local", "carl"), {"name": "one", "arguments": {"a": "x"}}, HTTP)
    with pytest.raises(HeaderMismatch):
        known.check(("local", "ann"), {"name": "one", "arguments": {"a": "x"}}, HTTP)


@pytest.mark.parametrize(
    "tools",
    [
        None,
        {},
        [1],
        [{"name": 1}],
        [{"name": "one"}],
        [{"name": "one", "inputSchema": []}],
        [{"name": "one", "inputSchema": {"properties": [], "x": "x-mcp-header"}}],
        [{"name": "one", "inputSchema": {"x-mcp-header": "One"}}],
    ],
)
def test_a_list_that_is_none_says_nothing(tools: Any) -> None:
    known = MirroredHeaders()
    known.note(None, encode({"tools": tools, "own": "x-mcp-header"}))

    known.check(None, {"name": "one", "arguments": {"a": "x"}}, HTTP)
    known.check(None, {"name": 1, "arguments": []}, HTTP)


def test_what_is_kept_of_tools_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrored_headers, "MOST_TOOLS", 1)
    known = MirroredHeaders()
    known.note(None, listing(one="One", two="Two"))

    known.check(None, {"name": "one", "arguments": {"a": "x"}}, HTTP)
    with pytest.raises(HeaderMismatch):
        known.check(None, {"name": "two", "arguments": {"a": "x"}}, HTTP)


async def test_a_tool_that_says_it_wrongly_is_in_the_log_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with fronting(tmp_path, "--mirrors") as front:
        for _ in range(3):
            await front.modern("tools/list")

    assert caplog.text.count("a tool of the server behind is annotated wrongly") == 1
