"""`Issuer`: tokens of an authorization server elsewhere, without one."""

from __future__ import annotations

from typing import Any

import mcp
import pytest

from gatepost.testing import Clock, Issuer, RunningServer
from tests.testing.notes_server import notes_server, text_of

WITHOUT_OUR_OWN = {"OAUTH_ENABLE_AS": "false"}


async def test_a_token_of_the_issuer_opens_what_its_scopes_say() -> None:
    issuer = Issuer()
    async with (
        RunningServer(notes_server(), external=issuer.external(), settings=WITHOUT_OUR_OWN) as running,
        running.client(token=issuer.token(running.url, "alice", scopes=["notes:write"])) as alice,
    ):
        assert [tool.name for tool in (await alice.list_tools()).tools] == ["add"]
        assert text_of(await alice.call_tool("add", {"text": "milk"})) == "alice noted: milk"

    assert issuer.fetched == ["/.well-known/openid-configuration", "/jwks"]


@pytest.mark.parametrize(
    ("token", "error"),
    [
        ({"lifetime": -61}, "invalid_token"),
        ({"audience": "https://another.example/mcp"}, "invalid_token"),
        ({"claims": {"iss": "https://another.example"}}, "invalid_token"),
        ({"claims": {"sub": None}}, "invalid_token"),
    ],
)
async def test_a_token_that_does_not_count_is_refused(token: dict[str, Any], error: str) -> None:
    issuer = Issuer()
    async with RunningServer(notes_server(), external=issuer.external(), settings=WITHOUT_OUR_OWN) as running:
        client = running.client(token=issuer.token(**{"audience": running.url, **token}))
        with pytest.raises(mcp.MCPError):
            await client.__aenter__()

    assert (client.refusals[-1].status, client.refusals[-1].error) == (401, error)


async def test_a_token_ends_by_the_clock_of_both() -> None:
    clock = Clock()
    issuer = Issuer(clock=clock)
    async with RunningServer(notes_server(), external=issuer.external(), clock=clock) as running:
        token = issuer.token(running.url, scopes="notes:read", lifetime=300)
        http = running.http(token)
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

        assert (await http.post("/mcp", json=ping)).status_code != 401
        clock.advance(300 + 60)  # what clocks may differ by
        assert (await http.post("/mcp", json=ping)).status_code == 401


async def test_a_new_key_is_fetched_and_one_that_is_gone_does_not_count() -> None:
    clock = Clock()
    issuer = Issuer(clock=clock)
    async with RunningServer(notes_server(), external=issuer.external(), clock=clock) as running:
        old = issuer.token(running.url, scopes="notes:read")
        async with running.client(token=old) as client:
            await client.list_tools()
        issuer.rotate(keeps_old=False)
        async with running.client(token=issuer.token(running.url, scopes="notes:read")) as client:
            await client.list_tools()

        assert issuer.fetched.count("/jwks") == 2


async def test_an_issuer_that_is_down_makes_no_refusal() -> None:
    issuer = Issuer()
    issuer.is_down = True
    async with RunningServer(notes_server(), external=issuer.external(), settings=WITHOUT_OUR_OWN) as running:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

        answer = await running.http(issuer.token(running.url)).post("/mcp", json=ping)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
