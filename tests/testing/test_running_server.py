"""`RunningServer`: users, grants and tokens of a server that runs for a test, and its clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

from gatepost import OpenIDConnect, Server, SingleUserProvider, StaticPasswordProvider, create_app
from gatepost.configuration.settings import load_settings
from gatepost.testing import Client, Clock, RefusedRequest, RunningServer
from gatepost.testing.grants import RefreshRefused
from tests.testing.notes_server import notes_server, text_of

REVOKED = RefusedRequest(401, "invalid_token", ("notes:write", "notes:read"), "The access token has been revoked.")


async def test_several_users_are_at_one_server() -> None:
    async with (
        RunningServer(notes_server()) as running,
        running.client(user="alice") as alice,
        running.client(user="bob") as bob,
    ):
        said = [text_of(await each.call_tool("add", {"text": "milk"})) for each in (alice, bob, alice)]

    assert said == ["alice noted: milk", "bob noted: milk", "alice noted: milk"]


@pytest.mark.parametrize("access_token_format", ["opaque", "jwt"])
async def test_an_access_token_ends_by_the_clock_and_is_refreshed(access_token_format: str) -> None:
    clock = Clock(at=1_800_000_000)
    settings = {"OAUTH_ACCESS_TOKEN_FORMAT": access_token_format, "OAUTH_ACCESS_TOKEN_TTL": "300"}
    async with (
        RunningServer(notes_server(), clock=clock, settings=settings) as running,
        running.client(user="alice") as client,
    ):
        clock.advance(299)
        await client.list_tools(cache_mode="bypass")
        clock.advance(1)
        with pytest.raises(mcp.MCPError):
            await client.list_tools(cache_mode="bypass")
        assert client.refusals[-1].error == "invalid_token"

        assert client.grant is not None
        await client.grant.refresh()
        assert len((await client.list_tools(cache_mode="bypass")).tools) == 3


async def test_a_refresh_can_ask_for_fewer_scopes() -> None:
    async with RunningServer(notes_server()) as running:
        grant = await running.grant("alice")
        await grant.refresh("notes:read")

        assert grant.scopes == ("notes:read",)


async def test_a_revoked_grant_opens_nothing_any_more() -> None:
    async with RunningServer(notes_server()) as running, running.client() as client:
        assert client.grant is not None
        await client.grant.revoke()

        with pytest.raises(mcp.MCPError):
            await client.call_tool("add", {"text": "milk"})
        assert client.refusals == [REVOKED]
        with pytest.raises(RefreshRefused, match="^400 invalid_grant: "):
            await client.grant.refresh()


async def test_raw_requests_are_sent_with_and_without_a_token() -> None:
    async with RunningServer(notes_server()) as running:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        token = await running.token("alice", ["notes:read"])

        assert (await running.http().post("/mcp", json=ping)).status_code == 401
        assert (await running.http(token).post("/mcp", json=ping)).status_code != 401
        assert (await running.http().get("/health")).json()["status"] == "ok"


async def test_a_user_is_whoever_the_test_says() -> None:
    async with RunningServer(notes_server()) as running:
        alice = await running.user("alice", subject="user_1", roles=["editor"])

        async with running.client(user="alice") as client:
            assert text_of(await client.call_tool("add", {"text": "milk"})) == "user_1 noted: milk"
            assert (await client.call_tool("roles")).structured_content == ["editor"]
        with pytest.raises(ValueError, match="^There is a user alice already.$"):
            await running.user("alice")
        with pytest.raises(ValueError, match="^There is a user Alice already.$"):  # for accounts it is the same name
            await running.user("Alice")
    assert (alice.name, alice.subject) == ("alice", "user_1")


async def test_rules_judge_what_a_login_provider_said_of_a_user() -> None:
    settings = {"OAUTH_ROLE_STAFF_USERS": "group:staff", "OAUTH_ALLOWED_USERS": "@example.com"}
    provider = OpenIDConnect("https://id.example.com", client_id="client", client_secret="a secret")
    async with RunningServer(notes_server(), settings=settings, provider=provider) as running:
        await running.user("alice", email="alice@example.com", groups=["staff"])
        await running.user("eve", email="eve@elsewhere.example")

        async with running.client(user="alice") as client:
            assert (await client.call_tool("roles")).structured_content == ["staff"]
        refused = running.client(user="eve")
        with pytest.raises(mcp.MCPError):
            await refused.__aenter__()
        assert refused.refusals[-1].status == 401


@pytest.mark.parametrize(
    "provider", [SingleUserProvider("me"), StaticPasswordProvider("a few words in no order", "me")]
)
async def test_a_server_of_one_person_has_that_person(provider: SingleUserProvider | StaticPasswordProvider) -> None:
    async with RunningServer(notes_server(), provider=provider) as running, running.client() as client:
        assert text_of(await client.call_tool("add", {"text": "milk"})) == "me noted: milk"
        with pytest.raises(ValueError, match="^This server has one user, who is called me: leave user= out.$"):
            await running.token("alice")


async def test_a_server_that_issues_no_tokens_makes_none() -> None:
    settings = {"OAUTH_ENABLED": "false", "MCP_API_KEY": "a-key-of-some-length-0123456789"}
    async with RunningServer(notes_server(), settings=settings) as running:
        with pytest.raises(ValueError, match="has no authorization server"):
            await running.token("alice")


async def test_the_lifespan_of_the_server_runs_as_long_as_it_does() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        del server
        seen.append("start")
        yield
        seen.append("stop")

    async with RunningServer(Server("with a lifespan", lifespan=lifespan)):
        assert seen == ["start"]
    assert seen == ["start", "stop"]


async def test_a_running_app_is_at_the_url_of_its_own_settings() -> None:
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "MCP_PUBLIC_URL": "http://localhost:9000"}, env_file=None)
    app = create_app(notes_server(), settings=settings, announce=lambda _banner: None)
    async with RunningServer(app) as running:
        assert (running.origin, running.url) == ("http://localhost:9000", "http://localhost:9000/mcp")
        assert running.app is app


def test_a_clock_stands_still_until_it_is_moved_forward() -> None:
    clock = Clock(at=100)

    assert clock() == 100
    clock.advance(5)
    assert (clock(), repr(clock)) == (105, "<Clock at 105>")
    with pytest.raises(ValueError, match="^A clock is moved forward"):
        clock.advance(-1)


async def test_clients_of_one_server_share_it_and_are_told_so() -> None:
    server = notes_server()
    async with Client(server):
        with pytest.raises(RuntimeError, match="; tests share a gatepost.testing.RunningServer$"):
            await Client(server).__aenter__()
    async with Client(server) as client:
        assert len((await client.list_tools()).tools) == 3


@pytest.mark.parametrize("listens", [False, True])
async def test_a_call_that_a_test_leaves_behind_is_cancelled_at_its_end(listens: bool) -> None:
    began, ended, stack = asyncio.Event(), asyncio.Event(), AsyncExitStack()
    calls: list[asyncio.Task[object]] = []
    server = Server("slow")

    @server.tool
    async def wait() -> str:
        """Wait for what never comes."""
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    async with RunningServer(server, listen=listens) as running:
        transport = None if listens else running.transport()
        headers = {"Authorization": f"Bearer {await running.token()}"}
        http = httpx2.AsyncClient(transport=transport, headers=headers, timeout=60, trust_env=False)
        client = mcp.Client(streamable_http_client(running.url, http_client=http))
        await stack.enter_async_context(http)
        await stack.enter_async_context(client)
        calls.append(asyncio.create_task(client.call_tool("wait")))
        await began.wait()
    await ended.wait()
    calls[0].cancel()
    await stack.aclose()


async def test_a_server_that_does_not_run_says_so() -> None:
    running = RunningServer(notes_server())
    with pytest.raises(RuntimeError, match="^The server has not run yet: enter it"):
        await running.token()
    async with running:
        assert await running.token()
    with pytest.raises(RuntimeError, match="^The server does not run: enter it first"):
        running.http()
    assert running.url == "http://127.0.0.1:8000/mcp"
