from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from gatepost.protocol.errors import (
    ApplicationError,
    InternalError,
    InvalidJsonRpcRequest,
    InvalidParams,
    MethodNotFound,
    MissingRequiredClientCapability,
    ParseError,
    ProtocolError,
    UnsupportedProtocolVersion,
)
from gatepost.protocol.messages import (
    LONGEST_REQUEST_ID,
    Message,
    Notification,
    Request,
    Response,
    cancellation_reason,
    error_response,
    is_progress_token,
    notification,
    parse_message,
    request_message,
    result_response,
)

NOT_A_REQUEST = 'A request has a string "method", an object as "params" if any, and neither "result" nor "error".'
NOT_A_RESPONSE = 'A message has a "method", or else one object as "result" or "error".'
BAD_ID = '"id" must be an integer or a string of at most 256 characters.'
BAD_RESPONSE_ID = 'The "id" of a response must be that of its request.'


def parse(**members: Any) -> Message:
    """Parse a message with these members beside `jsonrpc`."""
    return parse_message(json.dumps({"jsonrpc": "2.0", **members}).encode())


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"id": 1, "method": "ping"}, Request(1, "ping", {})),
        ({"id": "a", "method": "x", "params": {"b": 1}}, Request("a", "x", {"b": 1})),
        ({"id": 0, "method": "x", "params": None}, Request(0, "x", {})),
        ({"id": -5, "method": "", "more": 1}, Request(-5, "", {})),
        ({"id": "i" * 256, "method": "x"}, Request("i" * 256, "x", {})),
        ({"id": 2**64 - 1, "method": "x"}, Request(2**64 - 1, "x", {})),
        ({"id": -(2**63), "method": "x"}, Request(-(2**63), "x", {})),
        ({"method": "notifications/initialized"}, Notification("notifications/initialized", {})),
        ({"method": "x", "params": {"a": 1}}, Notification("x", {"a": 1})),
        ({"id": 1, "result": {"a": 1}}, Response(1, {"a": 1}, None)),
        ({"id": "a", "error": {"code": 1}}, Response("a", None, {"code": 1})),
        ({"id": None, "error": {"code": 1}}, Response(None, None, {"code": 1})),
        ({"error": {"code": 1}}, Response(None, None, {"code": 1})),
    ],
)
def test_each_shape_of_message_is_told_apart(members: dict[str, Any], message: Message) -> None:
    assert parse(**members) == message


@pytest.mark.parametrize(
    ("members", "text", "request_id"),
    [
        ({"id": 1, "method": 5}, NOT_A_REQUEST, 1),
        ({"id": 1, "method": "x", "params": []}, NOT_A_REQUEST, 1),
        ({"id": 1, "method": "x", "params": "p"}, NOT_A_REQUEST, 1),
        ({"id": 1, "method": "x", "result": {}}, NOT_A_REQUEST, 1),
        ({"method": "x", "error": {}}, NOT_A_REQUEST, None),
        ({"id": None, "method": "x"}, BAD_ID, None),
        ({"id": True, "method": "x"}, BAD_ID, None),
        ({"id": 1.0, "method": "x"}, BAD_ID, None),
        ({"id": [], "method": "x"}, BAD_ID, None),
        ({"id": "i" * 257, "method": "x"}, BAD_ID, None),
        ({"id": 1}, NOT_A_RESPONSE, 1),
        ({}, NOT_A_RESPONSE, None),
        ({"id": 1, "result": {}, "error": {}}, NOT_A_RESPONSE, 1),
        ({"id": 1, "result": []}, NOT_A_RESPONSE, 1),
        ({"id": 1, "error": "no"}, NOT_A_RESPONSE, 1),
        ({"id": None, "result": {}}, BAD_RESPONSE_ID, None),
        ({"result": {}}, BAD_RESPONSE_ID, None),
        ({"id": 1.5, "error": {}}, BAD_RESPONSE_ID, None),
        ({"id": 1, "jsonrpc": "1.0", "method": "x"}, '"jsonrpc" must be "2.0".', 1),
        ({"id": "a", "jsonrpc": 2.0, "method": "x"}, '"jsonrpc" must be "2.0".', "a"),
    ],
)
def test_other_shapes_are_refused_with_the_id_where_it_is_readable(
    members: dict[str, Any], text: str, request_id: int | str | None
) -> None:
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        parse(**members)

    assert (caught.value.message, caught.value.request_id) == (text, request_id)


@pytest.mark.parametrize("name", ["Method", "METHOD", "ID", "Params", "reSult", "par\u0061m\u017f"])
def test_members_that_some_readers_take_for_others_are_refused(name: str) -> None:
    with pytest.raises(InvalidJsonRpcRequest, match="in its case only") as caught:
        parse(**{"id": 1, "method": "ping", name: "tools/call"})

    assert caught.value.request_id == 1


@pytest.mark.parametrize("raw", [b"[]", b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', b"1", b'"x"', b"null"])
def test_batches_and_what_is_no_object_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        parse_message(raw)

    assert caught.value.message == "The body must be one JSON-RPC message, a JSON object; batches are not supported."


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (b'{"a":"\\ud800"}', "A text in the body has half of a surrogate pair (RFC 8259 section 8.2)."),
        (b'{"\\uDFFF":1}', "A text in the body has half of a surrogate pair (RFC 8259 section 8.2)."),
        (b'{"a":1e999}', "A number in the body is too large for a double (RFC 8259 section 6)."),
        (b'{"a":-1E400}', "A number in the body is too large for a double (RFC 8259 section 6)."),
        (b'{"a":%s}' % (b"1" * 5000), "A number in the body is too large for a double (RFC 8259 section 6)."),
        (b'{"a":%d}' % 2**64, "An integer in the body does not fit into 64 bits; send it as a text."),
    ],
)
@pytest.mark.parametrize("identifier", [7, -7, "seven"])
def test_a_value_that_readers_disagree_about_is_refused_with_the_reason_and_the_id(
    params: bytes, message: str, identifier: int | str
) -> None:
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        parse_message(b'{"jsonrpc":"2.0","id":%s,"method":"x","params":%s}' % (orjson.dumps(identifier), params))

    assert (caught.value.message, caught.value.request_id) == (message, identifier)


@pytest.mark.parametrize(
    "identifier", [b'"\\ud800"', b"1e999", b"%d" % 2**70, b"null", b"[]", b"1.5", b'"%s"' % (b"i" * 257)]
)
def test_an_id_that_cannot_be_read_is_not_repeated(identifier: bytes) -> None:
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        parse_message(b'{"jsonrpc":"2.0","id":%s,"method":"x","params":["\\ud800"]}' % identifier)

    assert caught.value.request_id is None


def test_a_byte_order_mark_before_a_message_is_passed_over() -> None:
    """RFC 8259 section 8.1."""
    message = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert parse_message(b"\xef\xbb\xbf" + message) == Request(1, "ping", {})
    for elsewhere in (b"\xef\xbb\xbf" * 2 + message, b"[\xef\xbb\xbf" + message + b"]", message + b"\xef\xbb\xbf"):
        with pytest.raises(ParseError):
            parse_message(elsewhere)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"a": [1, None]}, b'{"a":[1,null]}'),
        (orjson.Fragment(b'{"written":"before"}'), b'{"written":"before"}'),
        ({"n": 2**70}, b'{"n":1180591620717411303424}'),
        ({"half\udcff": "a\udcff"}, '{"half\ufffd":"a\ufffd"}'.encode()),
    ],
)
def test_a_result_is_written_whatever_json_has_a_form_for(result: Any, text: bytes) -> None:
    body = result_response("x", result)

    assert json.loads(body) == {"jsonrpc": "2.0", "id": "x", "result": json.loads(text)}
    assert text in body


@pytest.mark.parametrize(("value", "kind"), [({1, 2}, TypeError), ([0, 10**5000], ValueError)], ids=["set", "huge"])
def test_what_json_has_no_form_for_is_an_error_and_not_a_guess(value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        result_response(1, {"value": value})


def test_a_notification_and_a_request_to_the_client_are_written() -> None:
    assert json.loads(notification("notifications/x", {"a": 2**70})) == {
        "jsonrpc": "2.0",
        "method": "notifications/x",
        "params": {"a": 2**70},
    }
    assert json.loads(request_message("r1", "roots/list", {"a": "b"})) == {
        "jsonrpc": "2.0",
        "id": "r1",
        "method": "roots/list",
        "params": {"a": "b"},
    }


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, ""),
        ({"reason": None}, ""),
        ({"reason": 5}, ""),
        ({"reason": "r" * 200}, "r" * 200),
        ({"reason": "r" * 201}, "r" * 200),
    ],
)
def test_the_reason_of_a_cancellation_is_cut_for_a_log(params: dict[str, Any], reason: str) -> None:
    assert cancellation_reason(params) == reason


@pytest.mark.parametrize(
    ("value", "is_token"),
    [
        (0, True),
        (-1, True),
        ("", True),
        ("t" * 256, True),
        ("t" * 257, False),
        (True, False),
        (1.0, False),
        (None, False),
    ],
)
def test_a_progress_token_is_what_may_be_an_id(value: object, *, is_token: bool) -> None:
    assert is_progress_token(value) is is_token
    assert LONGEST_REQUEST_ID == 256


@pytest.mark.parametrize(
    ("error", "request_id", "response"),
    [
        (
            InvalidParams("No.", data={"field": "a"}),
            7,
            {"id": 7, "error": {"code": -32602, "message": "No.", "data": {"field": "a"}}},
        ),
        (InvalidJsonRpcRequest("No.", request_id="r"), None, {"id": "r", "error": {"code": -32600, "message": "No."}}),
        (InvalidJsonRpcRequest("No."), None, {"error": {"code": -32600, "message": "No."}}),
        (
            MissingRequiredClientCapability({"sampling": {}}),
            0,
            {
                "id": 0,
                "error": {
                    "code": -32021,
                    "message": "This needs a client capability that the client did not declare: sampling.",
                    "data": {"requiredCapabilities": {"sampling": {}}},
                },
            },
        ),
        (
            UnsupportedProtocolVersion("1900-01-01" + "x" * 100, supported=("2026-07-28",)),
            1,
            {
                "id": 1,
                "error": {
                    "code": -32022,
                    "message": "Unsupported protocol version",
                    "data": {"supported": ["2026-07-28"], "requested": "1900-01-01" + "x" * 54},
                },
            },
        ),
        (
            ApplicationError({"code": 42, "message": "m", "data": 2**70}),
            1,
            {"id": 1, "error": {"code": 42, "message": "m", "data": 2**70}},
        ),
    ],
)
def test_an_error_carries_its_id_only_when_there_is_one(
    error: ProtocolError, request_id: int | str | None, response: dict[str, Any]
) -> None:
    assert json.loads(error_response(error, request_id)) == {"jsonrpc": "2.0", **response}


@pytest.mark.parametrize(
    ("error", "modern", "handshake"),
    [
        (InvalidJsonRpcRequest("x"), 400, 400),
        (MethodNotFound("x"), 404, 200),
        (InvalidParams("x"), 400, 200),
        (InternalError("x"), 200, 200),
        (UnsupportedProtocolVersion("x", supported=()), 400, 400),
        (ApplicationError({"code": -32601, "message": "x"}), 404, 200),
        (ApplicationError({"code": -32602, "message": "x"}), 400, 200),
        (ApplicationError({"code": 5, "message": "x"}), 200, 200),
    ],
)
def test_the_status_of_an_error_depends_on_the_era(error: ProtocolError, modern: int, handshake: int) -> None:
    assert (error.status(modern=True), error.status(modern=False)) == (modern, handshake)
