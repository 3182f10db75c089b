from __future__ import annotations

from typing import Any

import pytest

from gatepost.protocol import handshake
from gatepost.protocol.errors import InvalidParams, UnsupportedProtocolVersion
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import (
    HANDSHAKE,
    REVISION_2025_03_26,
    REVISION_2025_06_18,
    REVISION_2025_11_25,
    SUPPORTED,
    Revision,
)

SERVER_INFO = {
    "name": "notes",
    "version": "1.0",
    "title": "Notes",
    "websiteUrl": "https://notes.example",
    "icons": [{"src": "https://notes.example/icon.png"}],
}


def proposed(params: dict[str, Any]) -> Revision:
    """The revision that an `initialize` with these parameters is answered in."""
    return handshake.revision_of_request(Request(1, "initialize", params), None)


def test_every_version_is_listed_newest_first() -> None:
    assert SUPPORTED == ("2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26")


@pytest.mark.parametrize("version", HANDSHAKE)
def test_a_known_proposal_is_agreed_to(version: str) -> None:
    assert proposed({"protocolVersion": version}).version == version


@pytest.mark.parametrize("version", ["2024-11-05", "2026-07-28", "2099-01-01", ""])
def test_another_proposal_is_met_with_the_newest_of_the_era(version: str) -> None:
    assert proposed({"protocolVersion": version}) is REVISION_2025_11_25


@pytest.mark.parametrize("params", [{}, {"protocolVersion": 20251125}, {"protocolVersion": None}])
def test_no_proposal_is_an_error_that_lists_what_there_is(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams) as caught:
        proposed(params)

    assert caught.value.data == {"supported": list(SUPPORTED)}
    assert caught.value.message == '"params.protocolVersion" must be a string.'


@pytest.mark.parametrize(
    ("method", "params", "header", "revision"),
    [
        ("initialize", {"protocolVersion": "2025-06-18"}, "2025-11-25", REVISION_2025_06_18),
        ("initialize", {"protocolVersion": "2025-06-18"}, "v999", REVISION_2025_06_18),
        ("tools/list", {}, "2025-06-18", REVISION_2025_06_18),
        ("tools/list", {}, None, REVISION_2025_03_26),
    ],
)
def test_initialize_negotiates_and_the_header_decides_from_then_on(
    method: str, params: dict[str, Any], header: str | None, revision: Revision
) -> None:
    assert handshake.revision_of_request(Request(1, method, params), header) is revision


def test_an_unknown_header_is_refused() -> None:
    with pytest.raises(UnsupportedProtocolVersion) as caught:
        handshake.revision_of_request(Request(1, "tools/list", {}), "2024-11-05")

    assert caught.value.data == {"supported": list(SUPPORTED), "requested": "2024-11-05"}


@pytest.mark.parametrize(
    ("revision", "server_info"),
    [
        (REVISION_2025_11_25, SERVER_INFO),
        (REVISION_2025_06_18, {"name": "notes", "version": "1.0", "title": "Notes"}),
        (REVISION_2025_03_26, {"name": "notes", "version": "1.0"}),
    ],
)
def test_the_result_says_of_the_server_what_the_revision_knows(revision: Revision, server_info: dict[str, Any]) -> None:
    result = handshake.initialize_result(
        revision, capabilities={"tools": {}}, server_info=SERVER_INFO, instructions="Be brief."
    )

    assert result == {
        "protocolVersion": revision.version,
        "capabilities": {"tools": {}},
        "serverInfo": server_info,
        "instructions": "Be brief.",
    }


AGREED: list[tuple[Any, Any, Revision, dict[str, Any]]] = [
    ({}, {}, REVISION_2025_11_25, {}),
    ({"capabilities": {"roots": {}}}, {"protocolVersion": "2025-06-18"}, REVISION_2025_06_18, {"roots": {}}),
    ({"capabilities": ["roots"]}, {"protocolVersion": "2026-07-28"}, REVISION_2025_11_25, {}),
    ({"capabilities": None}, {"protocolVersion": ["2025-06-18"]}, REVISION_2025_11_25, {}),
    ({"capabilities": {}}, "2025-06-18", REVISION_2025_11_25, {}),
]


@pytest.mark.parametrize(("params", "result", "revision", "capabilities"), AGREED)
def test_what_was_agreed_on_is_what_the_result_says_of_what_there_is(
    params: dict[str, Any], result: object, revision: Revision, capabilities: dict[str, Any]
) -> None:
    assert handshake.agreement(params, result, REVISION_2025_11_25) == (revision, capabilities)


def test_instructions_are_left_out_when_there_are_none() -> None:
    result = handshake.initialize_result(
        REVISION_2025_11_25, capabilities={}, server_info={"name": "n", "version": "1"}, instructions=None
    )

    assert "instructions" not in result
