"""The finance example: scopes of its own, roles that have them, and a limit that takes one more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from mcp import MCPError

from examples.finance import holdings, roles, server
from gatepost.testing import RunningServer
from tests.testing.notes_server import text_of


@pytest.fixture
async def running() -> AsyncIterator[RunningServer]:
    """The server with its roles."""
    holdings.clear()
    async with RunningServer(server, roles=roles) as running:
        yield running


async def test_each_user_trades_for_themselves(running: RunningServer) -> None:
    async with (
        running.client(user="bob", roles=["trader"]) as bob,
        running.client(user="alice", roles=["trader"]) as alice,
    ):
        await bob.call_tool("trade", {"side": "buy", "symbol": "ACME", "shares": 3})

        owned = await bob.call_tool("portfolio")
        assert owned.structured_content == [{"symbol": "ACME", "shares": 3, "value": 360.0}]
        assert (await alice.call_tool("portfolio")).structured_content == []
        assert (await alice.call_tool("turnover")).structured_content == {"ACME": 3, "GLOBEX": 0}


async def test_who_has_no_role_may_look(running: RunningServer) -> None:
    async with running.client(user="eve") as eve:
        assert [tool.name for tool in (await eve.list_tools()).tools] == ["portfolio"]


async def test_either_of_two_scopes_opens_what_takes_any_of_them(running: RunningServer) -> None:
    async with running.client(user="ada", roles=["admin"]) as ada, running.client(user="bob", roles=["trader"]) as bob:
        assert [tool.name for tool in (await ada.list_tools()).tools] == ["portfolio", "turnover"]
        assert [tool.name for tool in (await bob.list_tools()).tools] == ["portfolio", "trade", "turnover"]


async def test_a_large_order_takes_one_scope_more(running: RunningServer) -> None:
    order = {"side": "buy", "symbol": "ACME", "shares": 100}
    async with running.client(user="bob", roles=["trader"], scopes=["trades:execute"]) as bob:
        with pytest.raises(MCPError):
            await bob.call_tool("trade", order)
        assert bob.refusals[-1].scopes == ("trades:execute", "trades:large")
    async with running.client(user="bob", scopes=["trades:large"]) as bob:
        assert (await bob.call_tool("trade", order)).structured_content["shares"] == 100


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({"side": "sell", "symbol": "ACME", "shares": 1}, "You own 0 shares of ACME."),
        ({"side": "buy", "symbol": "NONE", "shares": 1}, "There is no share NONE; there are ACME, GLOBEX."),
    ],
)
async def test_an_order_that_cannot_be_is_refused_in_a_sentence(
    running: RunningServer, order: dict[str, object], sentence: str
) -> None:
    async with running.client(user="bob", roles=["trader"]) as bob:
        result = await bob.call_tool("trade", order)

    assert (result.is_error, text_of(result)) == (True, sentence)


async def test_people_read_what_each_scope_means(running: RunningServer) -> None:
    registered = await running.http().post("/oauth/register", json={"redirect_uris": ["https://app.example/cb"]})
    query = {
        "response_type": "code",
        "client_id": registered.json()["client_id"],
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    url = running.http().build_request("GET", "/oauth/authorize", params=query).url
    page = await (await running.browser("bob", roles=["trader"])).consent_page(str(url))

    assert page.scopes == ("portfolio:read", "trades:execute", "trades:large")
    assert "Buy and sell in your name for more than 10,000 euros at a time" in page.text
