"""Scopes at the endpoint: one of several, those that imply others, refusals from within, callers without a token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from gatepost import Context, InsufficientScope, Server, ToolError, any_of, create_app
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.stores.sql.sqlite import memory_store
from tests.seeds.person import Person, person_at
from tests.web.pages.pages_world import PASSWORD

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "app", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def is_own(ctx: Context, arguments: Mapping[str, Any]) -> bool:
    return bool(arguments["owner"] == ctx.user.subject)


def is_small(_ctx: Context, arguments: Mapping[str, Any]) -> bool:
    if arguments["amount"] > 1000:
        raise InsufficientScope("trades:large")
    if arguments["amount"] < 0:
        raise ToolError("Sell by another tool.")
    return bool(arguments["amount"] != 13)


def trades() -> Server:
    server = Server(
        "trades", scopes={"admin": "Do everything"}, implied_scopes={"admin": ["editor"], "editor": ["trades:read"]}
    )

    @server.tool(scopes=any_of("auditor", "editor"))
    def audit(ctx: Context) -> list[str]:
        """Audit."""
        return sorted(ctx.scopes)

    @server.tool(scopes=["trades:read"])
    async def execute(ctx: Context, *, says: bool = False) -> str:
        """Execute."""
        if says:
            await ctx.progress(1)
        if "trades:execute" not in ctx.scopes:
            raise InsufficientScope("trades:execute")
        return "done"

    @server.tool(authorize=is_own)
    def close(owner: str) -> str:
        """Close."""
        return f"closed for {owner}"

    @server.tool(authorize=is_small, scopes=["trades:read"])
    def buy(amount: int = 1) -> str:
        """Buy."""
        return f"bought {amount}"

    @server.resource("trades://today", scopes=["trades:read"])
    def today() -> str:
        """Read."""
        raise InsufficientScope("trades:today")

    @server.prompt
    def advise() -> str:
        """Advise."""
        raise InsufficientScope("trades:read", any_of("auditor", "admin"))

    return server


@asynccontextmanager
async def served(**variables: str) -> AsyncIterator[Person]:
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "ADMIN_PASSWORD": PASSWORD, **variables}, env_file=None)
    app = create_app(trades(), settings=settings, store=memory_store(), announce=lambda _: None)
    async with person_at(app) as person:
        yield person


async def token_of(person: Person, scope: str) -> str:
    return await person.allow(await person.submit(await person.arrive(scope=scope), password=PASSWORD))


async def ask(person: Person, token: str | None, method: str, name: str = "", **arguments: Any) -> httpx2.Response:
    target = {"resources/read": "uri"}.get(method, "name")
    params: dict[str, Any] = {"_meta": {**META, "progressToken": 7}} | ({target: name} if name else {})
    if method == "tools/call":
        params["arguments"] = arguments
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method} | ({"Mcp-Name": name} if name else {})
    headers |= {"Accept": "application/json, text/event-stream"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return await person.http.post("/mcp", json=message, headers=headers)


def challenged(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and the scopes of a challenge."""
    challenge = answer.headers["www-authenticate"]
    return answer.status_code, challenge.partition('scope="')[2].partition('"')[0]


async def names(person: Person, token: str | None) -> list[str]:
    listed = (await ask(person, token, "tools/list")).json()["result"]["tools"]
    return [tool["name"] for tool in listed]


@pytest.mark.parametrize(
    ("granted", "counts"),
    [
        ("auditor", ["auditor"]),
        ("editor", ["editor", "trades:read"]),
        ("admin", ["admin", "editor", "trades:read"]),
    ],
)
@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
async def test_one_of_several_opens_and_what_is_implied_counts(
    granted: str, counts: list[str], token_format: str
) -> None:
    async with served(OAUTH_ACCESS_TOKEN_FORMAT=token_format) as person:
        token = await token_of(person, granted)

        assert (await ask(person, token, "tools/call", "audit")).json()["result"]["structuredContent"] == counts
        assert ("buy" in await names(person, token)) is ("trades:read" in counts)


async def test_without_any_of_several_the_first_is_asked_for() -> None:
    async with served() as person:
        token = await token_of(person, "trades:read")

        assert "audit" not in await names(person, token)
        assert challenged(await ask(person, token, "tools/call", "audit")) == (403, "auditor")


async def test_a_tool_may_find_out_that_it_needs_more_and_what_is_declared_is_asked_for_too() -> None:
    async with served() as person:
        token = await token_of(person, "editor")

        refused = await ask(person, token, "tools/call", "execute")
        assert challenged(refused) == (403, "trades:read trades:execute")
        assert refused.json()["error"]["data"] == {
            "error": "insufficient_scope",
            "scope": "trades:execute trades:read",
        }
        assert challenged(await ask(person, token, "resources/read", "trades://today")) == (
            403,
            "trades:read trades:today",
        )
        assert challenged(await ask(person, token, "prompts/get", "advise")) == (403, "trades:read auditor")


async def test_where_a_part_of_the_answer_has_gone_out_the_refusal_is_an_error_in_it() -> None:
    async with served() as person:
        token = await token_of(person, "editor")

        answer = await ask(person, token, "tools/call", "execute", says=True)
        assert answer.status_code == 200
        assert '"scope":"trades:execute trades:read"' in answer.text


async def test_a_check_of_the_arguments_decides_before_the_tool_runs() -> None:
    async with served() as person:
        token = await token_of(person, "editor")

        def text(answer: httpx2.Response) -> tuple[bool, str]:
            result = answer.json()["result"]
            return result.get("isError", False), result["content"][0]["text"]

        assert text(await ask(person, token, "tools/call", "close", owner="owner")) == (False, "closed for owner")
        assert text(await ask(person, token, "tools/call", "close", owner="eve")) == (
            True,
            "You may not call close with these arguments.",
        )
        assert text(await ask(person, token, "tools/call", "buy")) == (False, "bought 1")
        assert text(await ask(person, token, "tools/call", "buy", amount=13))[0] is True
        assert text(await ask(person, token, "tools/call", "buy", amount=-1)) == (True, "Sell by another tool.")
        assert challenged(await ask(person, token, "tools/call", "buy", amount=1001)) == (
            403,
            "trades:read trades:large",
        )


async def test_in_lazy_mode_a_token_is_asked_for_only_where_a_scope_is_needed() -> None:
    async with served(MCP_LAZY_AUTH="true") as person:
        # Who has no token sees what there is, and may do what needs none.
        assert await names(person, None) == ["audit", "execute", "close", "buy"]
        closed = await ask(person, None, "tools/call", "close", owner="anonymous")
        assert closed.json()["result"]["content"][0]["text"] == "closed for anonymous"
        for name, scopes in (("audit", "auditor"), ("buy", "trades:read")):
            refused = await ask(person, None, "tools/call", name)
            assert challenged(refused) == (401, scopes)
            assert refused.json()["error"]["message"] == "This needs an access token."
            assert "error=" not in refused.headers["www-authenticate"]
        assert challenged(await ask(person, None, "resources/read", "trades://today"))[0] == 401

        # With one it is as ever; one that does not count is no way to be nobody.
        token = await token_of(person, "trades:read")
        assert await names(person, token) == ["execute", "close", "buy"]
        assert (await ask(person, token, "tools/call", "buy")).status_code == 200
        assert challenged(await ask(person, token, "tools/call", "audit")) == (403, "auditor")
        assert (await ask(person, token + "x", "tools/call", "close", owner="anonymous")).status_code == 401
        twice = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x"), ("Accept", "application/json")]
        assert (await person.http.post("/mcp", json={}, headers=twice)).status_code == 400


async def test_in_lazy_mode_a_session_begins_without_a_token_and_is_nobody_elses() -> None:
    async with served(MCP_LAZY_AUTH="true") as person:
        sent = {"Accept": "application/json, text/event-stream"}
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
        begun = await person.http.post(
            "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}, headers=sent
        )
        sent |= {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": begun.headers["mcp-session-id"]}
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "buy", "arguments": {}}}
        assert challenged(await person.http.post("/mcp", json=call, headers=sent)) == (401, "trades:read")

        token = await token_of(person, "trades:read")
        with_token = {**sent, "Authorization": f"Bearer {token}"}
        assert (await person.http.post("/mcp", json=call, headers=with_token)).status_code == 404


async def test_in_lazy_mode_pages_of_other_origins_may_not_call() -> None:
    async with served(MCP_LAZY_AUTH="true") as person:
        headers = {"Accept": "application/json, text/event-stream", "Origin": "https://elsewhere.example"}
        answer = await person.http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
        assert answer.status_code == 403


@pytest.mark.parametrize("variables", [{"OAUTH_REQUIRED_SCOPE": "base"}, {"MCP_REQUIRE_AUTH": "false"}])
def test_lazy_mode_goes_with_nothing_that_contradicts_it(variables: dict[str, str]) -> None:
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "MCP_LAZY_AUTH": "true", **variables}, env_file=None)
    with pytest.raises(SettingsError, match="MCP_LAZY_AUTH serves what needs no scope without a token"):
        create_app(trades(), settings=settings)
