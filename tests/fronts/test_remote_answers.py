"""What a remote server's refusals mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatepost.fronts.backend import BackendUnavailable, RequestNotTaken
from gatepost.fronts.remote_answers import refusal
from gatepost.protocol.errors import ApplicationError


def error(code: int, message: str = "own", **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}, **more}).encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b""),
        (404, b"<html>"),
        (404, error(-32001, "Session not found")),
        (404, error(-32600, "Session not found")),
        (400, error(-32000, "Bad Request: No valid session ID provided")),
        (400, error(-32000, "Bad Request: Server not initialized")),
        (400, error(-32600, "Missing session ID")),
        (400, b"Invalid Session"),
    ],
)
def test_a_session_that_is_over_is_known_by_what_servers_say(status: int, body: bytes) -> None:
    assert isinstance(refusal(status, {}, body, in_session=True), RequestNotTaken)
    assert not isinstance(refusal(status, {}, body, in_session=False), RequestNotTaken)


@pytest.mark.parametrize(
    ("status", "code"), [(400, -32602), (400, -32020), (400, -32022), (404, -32601), (500, -32603), (200, -1)]
)
def test_a_json_rpc_error_is_the_clients(status: int, code: int) -> None:
    found = refusal(status, {}, error(code, data=1), in_session=True)

    assert isinstance(found, ApplicationError)
    assert found.body() == {"code": code, "message": "own"}


@pytest.mark.parametrize(
    ("status", "headers", "sentence", "retry_after"),
    [
        (401, {}, "It answers 401: it does not take the credentials that it is given, or none.", None),
        (403, {}, "It answers 403: it does not take the credentials that it is given, or none.", None),
        (301, {}, "It redirects (301), which is not followed: name the address that it leads to.", None),
        (405, {}, "It answers 405, which no MCP endpoint answers to this: look at the address.", None),
        (503, {"retry-after": "30"}, "It answers 503.", 30),
        (503, {"retry-after": "0"}, "It answers 503.", 1),
        (503, {"retry-after": "99999"}, "It answers 503.", 3600),
        (503, {"retry-after": "Mon, 30 Nov 2026 20:00:00 GMT"}, "It answers 503.", 5),
        (429, {}, "It answers 429.", 5),
    ],
)
def test_anything_else_is_for_the_operator(
    status: int, headers: dict[str, str], sentence: str, retry_after: int | None
) -> None:
    found = refusal(status, headers, b"<p>a page</p>", in_session=True)

    assert isinstance(found, BackendUnavailable)
    assert (str(found), found.retry_after) == (sentence, retry_after)


def test_credentials_that_are_refused_are_no_error_of_the_clients_whatever_the_body() -> None:
    assert isinstance(refusal(401, {}, error(-32001, "Unauthorized"), in_session=True), BackendUnavailable)


@pytest.mark.parametrize("body", [b"[]", b'{"error": {"code": "1", "message": "x"}}', b'{"error": "x"}', b"\xff"])
def test_what_looks_like_an_error_and_is_none_is_none(body: bytes) -> None:
    assert isinstance(refusal(500, {}, body, in_session=False), BackendUnavailable)
