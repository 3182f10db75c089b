"""The codes of errors (2026-07-28 basic/index, "Error Codes")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import gatepost.app  # so that every class there is has been defined
from gatepost.protocol.errors import (
    ApplicationError,
    InvalidParams,
    MissingRequiredClientCapability,
    ProtocolError,
    RequestId,
    UnknownResource,
    UnsupportedProtocolVersion,
)


def test_each_error_has_its_code_and_its_status_in_either_era() -> None:
    own = [error for error in ProtocolError.__subclasses__() if error is not ApplicationError]

    assert {error.__name__: (error.code, error.modern_status, error.handshake_status) for error in own} == {
        "ParseError": (-32700, 400, 400),
        "InvalidJsonRpcRequest": (-32600, 400, 400),
        "MethodNotFound": (-32601, 404, 200),
        "InvalidParams": (-32602, 400, 200),
        "InternalError": (-32603, 200, 200),
        "UnknownResource": (-32002, 400, 200),
        "HeaderMismatch": (-32020, 400, 400),
        "MissingRequiredClientCapability": (-32021, 400, 200),
        "UnsupportedProtocolVersion": (-32022, 400, 400),
    }


@pytest.mark.parametrize(
    ("error", "request_id", "body"),
    [
        (InvalidParams("No."), None, {"code": -32602, "message": "No."}),
        (InvalidParams("No.", data={}, request_id=0), 0, {"code": -32602, "message": "No.", "data": {}}),
        (
            UnknownResource("note://1"),
            None,
            {"code": -32002, "message": "Resource not found", "data": {"uri": "note://1"}},
        ),
        (
            MissingRequiredClientCapability({"sampling": {}, "roots": {}}, request_id="a"),
            "a",
            {
                "code": -32021,
                "message": "This needs a client capability that the client did not declare: sampling, roots.",
                "data": {"requiredCapabilities": {"sampling": {}, "roots": {}}},
            },
        ),
        (
            UnsupportedProtocolVersion("v" * 65, supported=("2026-07-28",), request_id=7),
            7,
            {
                "code": -32022,
                "message": "Unsupported protocol version",
                "data": {"supported": ["2026-07-28"], "requested": "v" * 64},
            },
        ),
        (
            ApplicationError({"code": 7, "message": "Mine.", "data": [1]}, request_id=2),
            2,
            {"code": 7, "message": "Mine.", "data": [1]},
        ),
    ],
)
def test_an_error_says_what_it_is_and_which_request_it_answers(
    error: ProtocolError, request_id: RequestId | None, body: dict[str, Any]
) -> None:
    assert (error.body(), error.request_id) == (body, request_id)
    assert str(error) == error.message == body["message"]


def classes_below(base: type[ProtocolError]) -> Iterator[type[ProtocolError]]:
    """Every class that is derived from `base`."""
    for derived in base.__subclasses__():
        yield derived
        yield from classes_below(derived)


def test_our_own_errors_have_codes_of_json_rpc_or_of_the_specification_alone() -> None:
    ours = set(classes_below(ProtocolError)) - {ApplicationError, UnknownResource}

    assert gatepost.app is not None
    assert {error.code for error in ours} == {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}
    # Earlier revisions only, see tests/server/methods/test_resources_and_prompts.py.
    assert UnknownResource.code == -32002
