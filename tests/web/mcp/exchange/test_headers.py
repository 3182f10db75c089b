from __future__ import annotations

import pytest

from gatepost.web.mcp.exchange.headers import accepts_json, is_json


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json;charset=utf-8",
        b'application/json ; charset="UTF-8"',
        b"application/json; profile=x",
    ],
)
def test_json_in_utf8_is_json(content_type: bytes) -> None:
    assert is_json(content_type)


@pytest.mark.parametrize(
    "content_type",
    [None, b"", b"text/plain", b"text/json", b"application/json-rpc", b"application/json; charset=utf-16", b"\xff"],
)
def test_everything_else_is_not(content_type: bytes | None) -> None:
    assert not is_json(content_type)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        b"*/*",
        b"application/json, text/event-stream",
        b"text/event-stream,application/json",
        b"text/html, APPLICATION/json;q=0.5",
        b"application/*",
    ],
)
def test_a_client_that_lists_json_takes_it(accept: bytes | None) -> None:
    assert accepts_json(accept)


@pytest.mark.parametrize("accept", [b"", b"text/event-stream", b"text/*", b"application/jsonp", b"\xff"])
def test_a_client_that_does_not_list_it_does_not(accept: bytes) -> None:
    assert not accepts_json(accept)
