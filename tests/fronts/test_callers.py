"""What a server behind a front hears where its question to a client fails."""

from __future__ import annotations

import pytest

from gatepost.fronts.callers import NotAnswered, ask_client
from gatepost.protocol.errors import ApplicationError, InvalidParams, ProtocolError
from gatepost.server.calls.exchange import InputRequests, Results


class Refusing:
    """A client that cannot be asked."""

    def __init__(self, error: ProtocolError) -> None:
        self.error = error

    async def request(self, requests: InputRequests) -> Results:
        del requests
        raise self.error


@pytest.mark.parametrize(
    ("error", "code"), [(InvalidParams("no"), -32602), (ApplicationError({"code": 7, "message": "no"}), 7)]
)
async def test_an_error_of_whoever_asks_the_client_keeps_its_code(error: ProtocolError, code: int) -> None:
    with pytest.raises(NotAnswered) as raised:
        await ask_client(Refusing(error), "roots/list", {})
    assert (raised.value.code, raised.value.message) == (code, "no")
