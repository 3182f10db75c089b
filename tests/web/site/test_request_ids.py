"""Whose `X-Request-Id` counts, and what becomes of the id of a request."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gatepost import Server
from gatepost.observability.logs import JsonFormatter
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.request_ids import HttpRequestIds
from tests.attacks.installed import installed

OURS = "ab" * 8
GIVEN = "0af7651916cd43dd8448eb211c80319c"


def id_of(
    *given: bytes, peer: tuple[str, int] | None = ("10.0.0.1", 1), trusted: tuple[str, ...] = ("10.0.0.0/8",)
) -> str:
    scope: dict[str, Any] = {"client": peer, "headers": [(b"x-request-id", value) for value in given]}
    ids = HttpRequestIds(ClientAddresses(trusted), lambda count: b"\xab" * count)
    found = ids.id_of(scope)
    assert ids.id_of(scope) == found
    return found


@pytest.mark.parametrize(
    "given", [GIVEN, "f47ac10b-58cc-4372-a567-0e02b2c3d479", "0A000001:C1_0A00:1F90_1", "a.b-c:d_e", "x" * 8, "x" * 64]
)
def test_the_id_that_a_trusted_proxy_gives_counts(given: str) -> None:
    assert id_of(given.encode()) == given
    assert id_of(given.encode(), peer=None, trusted=("unix",)) == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "short",
        "x" * 65,
        "has blank 123",
        "new\nline12",
        "<script>1",
        'quote"12345',
        "\u00fcmlaut-1234",
        "-leading1",
        "%0a%0d1234",
    ],
)
def test_an_id_that_is_long_or_not_plain_does_not_count(given: str) -> None:
    assert id_of(given.encode("latin-1")) == OURS


def test_of_anybody_else_and_of_several_none_counts() -> None:
    assert id_of(GIVEN.encode(), peer=("192.0.2.1", 1)) == OURS
    assert id_of(GIVEN.encode(), trusted=()) == OURS
    assert id_of(GIVEN.encode(), peer=None) == OURS
    assert id_of(GIVEN.encode(), GIVEN.encode()) == OURS
    assert id_of() == OURS


class Lines(logging.Handler):
    """Every line as JSON, formatted where it is written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    logger, handler = logging.getLogger("gatepost"), Lines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(before)


async def test_all_lines_of_a_request_and_its_incident_have_the_id_of_the_proxy(lines: list[dict[str, Any]]) -> None:
    server = Server("broken")

    @server.tool()
    def fails() -> str:
        """Fail in a thread."""
        logging.getLogger("gatepost.tools").warning("about to")
        raise RuntimeError("no")

    settings: dict[str, Any] = {"MCP_TRUSTED_PROXIES": "127.0.0.1", "MCP_REQUIRE_AUTH": "false"}
    # A server without a public URL takes requests from this machine; no header says that they were forwarded.
    async with installed(target=server, **settings) as gatepost:
        lines.clear()
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "fails", "arguments": {}}}
        answers = [
            await gatepost.http.post(
                "/mcp",
                json=call,
                headers={"Accept": "application/json, text/event-stream", **headers},
            )
            for headers in ({"X-Request-Id": GIVEN}, {})
        ]
    texts = [answer.json()["result"]["content"][0]["text"] for answer in answers]
    assert texts[0] == f"The tool failed. Incident {GIVEN}."
    assert GIVEN not in texts[1]
    own = texts[1].removeprefix("The tool failed. Incident ").removesuffix(".")
    served = [line for line in lines if line["logger"] in {"gatepost.tools", "gatepost.requests"}]
    assert [line["request_id"] for line in served] == [GIVEN] * 3 + [own] * 3
    assert [line.get("incident") for line in served] == [None, GIVEN, None, None, own, None]


async def test_a_token_request_that_is_refused_has_an_id_in_its_line(lines: list[dict[str, Any]]) -> None:
    async with installed() as gatepost:
        await gatepost.token(grant_type="authorization_code")
        await gatepost.token(grant_type="authorization_code")
    ids = [line["request_id"] for line in lines if line["message"].startswith("refused at /oauth/token")]
    assert len(set(ids)) == 2
    assert all(len(each) == 16 for each in ids)
