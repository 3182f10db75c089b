from __future__ import annotations

import base64
from typing import Any

import pytest

from gatepost.protocol import modern
from gatepost.protocol.errors import (
    HeaderMismatch,
    InvalidParams,
    MethodNotFound,
    ProtocolError,
    UnsupportedProtocolVersion,
)
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
    PROTOCOL_VERSION,
    REMOVED_METHODS,
    SERVER_INFO,
    check_request,
    check_request_without_headers,
    discover_result,
    finish_result,
    permitted_code,
)
from gatepost.protocol.versions import REVISION_2026_07_28, SUPPORTED, Revision

VERSION = "2026-07-28"
META = {PROTOCOL_VERSION: VERSION, CLIENT_CAPABILITIES: {}}
WHO = {"name": "notes", "version": "1.0"}


def check(
    method: str = "tools/list",
    params: dict[str, Any] | None = None,
    *,
    meta: Any = META,
    version: str | None = VERSION,
    method_header: bytes | None = None,
    name_header: bytes | None = None,
) -> Revision:
    """Check a request whose headers agree with it, except where the arguments say otherwise."""
    request = Request(1, method, {**(params or {}), "_meta": meta})
    mirrored = method.encode() if method_header is None else method_header or None
    return check_request(request, header_version=version, method_header=mirrored, name_header=name_header)


def test_complete_metadata_and_agreeing_headers_pass() -> None:
    full = {**META, CLIENT_INFO: {"name": "c", "version": "1"}, LOG_LEVEL: "info", "progressToken": "p"}

    assert check(meta=full) is REVISION_2026_07_28


@pytest.mark.parametrize(
    ("method", "params", "name_header"),
    [
        ("tools/call", {"name": "add"}, b"add"),
        ("tools/call", {"name": "add"}, b"  add "),
        ("tools/call", {"name": "grüße"}, b"=?base64?" + base64.b64encode("grüße".encode()) + b"?="),
        ("tools/call", {"name": ""}, b""),
        ("prompts/get", {"name": "greeting"}, b"greeting"),
        ("resources/read", {"uri": "file:///a b"}, b"file:///a b"),
        ("tools/call", {"name": "=?plain"}, b"=?plain"),
    ],
)
def test_a_name_is_mirrored_plain_or_encoded(method: str, params: dict[str, Any], name_header: bytes) -> None:
    assert check(method, params, name_header=name_header) is REVISION_2026_07_28


def test_white_space_around_the_method_header_is_not_part_of_it() -> None:
    assert check(method_header=b" tools/list\t") is REVISION_2026_07_28


@pytest.mark.parametrize(
    ("meta", "missing"),
    [
        (None, "params._meta"),
        ([], "params._meta"),
        ({CLIENT_CAPABILITIES: {}}, PROTOCOL_VERSION),
        ({PROTOCOL_VERSION: 5, CLIENT_CAPABILITIES: {}}, PROTOCOL_VERSION),
        ({PROTOCOL_VERSION: [VERSION], CLIENT_CAPABILITIES: {}}, PROTOCOL_VERSION),
        ({PROTOCOL_VERSION: VERSION}, CLIENT_CAPABILITIES),
        ({PROTOCOL_VERSION: VERSION, CLIENT_CAPABILITIES: []}, CLIENT_CAPABILITIES),
        ({**META, CLIENT_INFO: "me"}, CLIENT_INFO),
        ({**META, CLIENT_INFO: None}, CLIENT_INFO),
        ({**META, LOG_LEVEL: "loud"}, LOG_LEVEL),
        ({**META, LOG_LEVEL: []}, LOG_LEVEL),
        ({**META, "progressToken": True}, "progressToken"),
        ({**META, "progressToken": 1.5}, "progressToken"),
        ({**META, "progressToken": "x" * 257}, "progressToken"),
    ],
)
def test_missing_or_malformed_metadata_is_named(meta: Any, missing: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        check(meta=meta)

    assert missing in caught.value.message
    assert caught.value.status(modern=True) == 400


@pytest.mark.parametrize("version", [None, 5, [VERSION], {}])
def test_without_a_header_a_malformed_version_is_named_too(version: Any) -> None:
    with pytest.raises(InvalidParams, match=PROTOCOL_VERSION):
        check(meta={**META, PROTOCOL_VERSION: version}, version=None)


@pytest.mark.parametrize(
    ("method", "params", "headers", "named"),
    [
        ("tools/list", {}, {"version": None}, "MCP-Protocol-Version"),
        ("tools/list", {}, {"version": "2025-11-25"}, "MCP-Protocol-Version"),
        ("tools/list", {}, {"version": "v999"}, "MCP-Protocol-Version"),
        ("tools/list", {}, {"method_header": b""}, "Mcp-Method"),
        ("tools/list", {}, {"method_header": b"TOOLS/LIST"}, "Mcp-Method"),
        ("tools/list", {}, {"method_header": b"prompts/list"}, "Mcp-Method"),
        ("tools/list", {}, {"method_header": b"=?base64?dG9vbHMvbGlzdA==?="}, "Mcp-Method"),
        ("tools/list", {}, {"method_header": b"tools\xff"}, "Mcp-Method"),
        ("tools/call", {"name": "add"}, {}, "Mcp-Name"),
        ("prompts/get", {"name": "greeting"}, {}, "Mcp-Name"),
        ("resources/read", {"uri": "a:b"}, {}, "Mcp-Name"),
        ("tools/call", {"name": "add"}, {"name_header": b"Add"}, "Mcp-Name"),
        ("tools/call", {"name": "ä"}, {"name_header": "ä".encode()}, "Mcp-Name"),
        ("tools/call", {"name": "=?base64?x?="}, {"name_header": b"=?base64?x?="}, "Mcp-Name"),
        ("resources/read", {"uri": "a:b"}, {"name_header": b"a:c"}, "Mcp-Name"),
    ],
)
def test_a_header_that_is_missing_or_disagrees_is_named(
    method: str, params: dict[str, Any], headers: dict[str, Any], named: str
) -> None:
    with pytest.raises(HeaderMismatch) as caught:
        check(method, params, **headers)

    assert named in caught.value.message


def test_a_body_that_says_another_version_than_its_header_is_a_mismatch_even_when_nobody_speaks_it() -> None:
    with pytest.raises(HeaderMismatch):
        check(meta={**META, PROTOCOL_VERSION: "v999"})


@pytest.mark.parametrize("header", ["v999", None])
def test_an_unknown_version_is_told_what_there_is(header: str | None) -> None:
    with pytest.raises(UnsupportedProtocolVersion) as caught:
        check(meta={PROTOCOL_VERSION: "v999"}, version=header)

    assert caught.value.data == {"supported": list(SUPPORTED), "requested": "v999"}


@pytest.mark.parametrize(
    ("method", "params"), [("tools/call", {}), ("tools/call", {"name": 5}), ("resources/read", {"name": "x"})]
)
def test_a_method_that_needs_a_name_says_so(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams):
        check(method, params, name_header=b"x")


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [
        (-32602, -32602),
        (-32020, -32020),
        (-32021, -32021),
        (-32022, -32022),
        (-32000, -32000),
        (-32019, -32019),
        (-32100, -32100),
        (7, 7),
        (-32002, -32602),  # no such resource, in earlier revisions
        (-32042, -32603),  # a page to visit first, in revision 2025-11-25
        (-32023, -32603),
        (-32099, -32603),
    ],
)
def test_a_code_that_this_era_does_not_let_anybody_choose_is_replaced(chosen: int, sent: int) -> None:
    assert permitted_code(chosen) == sent


@pytest.mark.parametrize("method", sorted(REMOVED_METHODS))
def test_methods_of_the_handshake_era_are_gone(method: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        check(method)

    assert (type(caught.value), caught.value.status(modern=True)) == (MethodNotFound, 404)


def test_the_names_of_the_specification_are_these() -> None:
    assert (PROTOCOL_VERSION, CLIENT_INFO, CLIENT_CAPABILITIES, LOG_LEVEL, SERVER_INFO) == (
        "io.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/clientInfo",
        "io.modelcontextprotocol/clientCapabilities",
        "io.modelcontextprotocol/logLevel",
        "io.modelcontextprotocol/serverInfo",
    )
    assert modern.LOG_LEVELS == ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
    assert {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"} == REMOVED_METHODS
    assert {
        "server/discover",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "skills/list",
        "skills/get",
    } == modern.CACHEABLE_METHODS


@pytest.mark.parametrize("level", modern.LOG_LEVELS)
def test_every_level_of_the_log_may_be_asked_for(level: str) -> None:
    assert check(meta={**META, LOG_LEVEL: level}) is REVISION_2026_07_28


def test_without_headers_the_body_alone_is_checked() -> None:
    def complete(method: str) -> Revision:
        return check_request_without_headers(Request(1, method, {"_meta": META}))

    assert complete("tools/call") is REVISION_2026_07_28
    with pytest.raises(MethodNotFound, match=r"^Revision 2026-07-28 has no such method any more\.$"):
        complete("ping")
    with pytest.raises(InvalidParams):
        check_request_without_headers(Request(1, "tools/call", {}))
    with pytest.raises(UnsupportedProtocolVersion):
        check_request_without_headers(Request(1, "tools/call", {"_meta": {PROTOCOL_VERSION: "2025-11-25"}}))


@pytest.mark.parametrize("instructions", [None, "Be brief."])
def test_a_discovery_is_for_everybody_and_fresh_for_five_minutes(instructions: str | None) -> None:
    said = {} if instructions is None else {"instructions": instructions}
    assert discover_result(capabilities={"tools": {}}, server_info=WHO, instructions=instructions) == {
        "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"],
        "capabilities": {"tools": {}},
        **said,
        "ttlMs": 300_000,
        "cacheScope": "public",
        "resultType": "complete",
        "_meta": {SERVER_INFO: WHO},
    }


@pytest.mark.parametrize(
    ("method", "result", "finished"),
    [
        ("tools/call", {"content": []}, {"resultType": "complete", "content": [], "_meta": {SERVER_INFO: WHO}}),
        (
            "tools/list",
            {"tools": [], "_meta": {"x": 1}},
            {
                "resultType": "complete",
                "tools": [],
                "_meta": {SERVER_INFO: WHO, "x": 1},
                "ttlMs": 0,
                "cacheScope": "private",
            },
        ),
        (
            "tools/list",
            {"tools": [], "ttlMs": 5, "cacheScope": "public"},
            {
                "resultType": "complete",
                "tools": [],
                "_meta": {SERVER_INFO: WHO},
                "ttlMs": 5,
                "cacheScope": "public",
            },
        ),
        (
            "resources/read",
            {"resultType": "input_required", "requestState": "s"},
            {"resultType": "input_required", "requestState": "s", "_meta": {SERVER_INFO: WHO}},
        ),
        (
            "tools/call",
            {"_meta": {SERVER_INFO: {"name": "own", "version": "2"}}},
            {"resultType": "complete", "_meta": {SERVER_INFO: {"name": "own", "version": "2"}}},
        ),
        ("tools/call", {"_meta": "odd"}, {"resultType": "complete", "_meta": "odd"}),
    ],
)
def test_a_result_gets_what_its_author_left_out(method: str, result: dict[str, Any], finished: dict[str, Any]) -> None:
    before = dict(result)

    assert finish_result(method, result, WHO) == finished
    assert result == before
