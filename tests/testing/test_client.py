"""`Client`: the official client in the process of the test, as a user with scopes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal

import mcp
import pytest
from mcp_types import ElicitRequestParams, ElicitResult

from gatepost import Command, JsonRpcHandler, create_app
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.testing import Client, Clock, RefusedRequest, RunningServer
from tests.testing.notes_server import notes_server, text_of

ERAS: tuple[Literal["modern", "handshake"], ...] = ("modern", "handshake")
REVISIONS = {"modern": "2026-07-28", "handshake": "2025-11-25"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_is_called_by_the_user_who_is_named_in_either_era(era: Literal["modern", "handshake"]) -> None:
    async with Client(notes_server(), user="alice", era=era) as client:
        said = text_of(await client.call_tool("add", {"text": "milk"}))

        assert (client.protocol_version, said) == (REVISIONS[era], "alice noted: milk")
        assert isinstance(client, mcp.Client)


@pytest.mark.parametrize("era", ERAS)
async def test_the_server_asks_its_client_in_the_middle_of_a_call(era: Literal["modern", "handshake"]) -> None:
    async def answer(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        return ElicitResult(action="accept", content={"name": f"who read “{params.message}”"})

    async with Client(notes_server(), era=era, elicitation_callback=answer) as client:
        assert text_of(await client.call_tool("greet")) == "Hello who read “Who is there?”"


async def test_what_the_user_has_not_approved_is_hidden_and_refused() -> None:
    async with Client(notes_server(), scopes=["notes:write"]) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["add"]
        with pytest.raises(mcp.MCPError, match="lacks a scope"):
            await client.call_tool("roles")

    lacks = "The access token lacks a scope that this operation needs."
    assert client.refusals == [RefusedRequest(403, "insufficient_scope", ("notes:read",), lacks)]


@pytest.mark.parametrize("scopes", [(), "", []])
async def test_a_user_can_have_approved_nothing(scopes: Any) -> None:
    async with Client(notes_server(), scopes=scopes) as client:
        assert (await client.list_tools()).tools == []


async def test_nobody_is_let_in_without_a_token() -> None:
    client = Client(notes_server(), user=None)
    with pytest.raises(mcp.MCPError) as refused:
        await client.__aenter__()

    refusal = RefusedRequest(401, None, ("notes:write", "notes:read"))
    assert client.refusals[-1] == refusal
    assert refused.value.__notes__ == [f"The server answered {refusal}."]


async def test_roles_are_given_to_the_user() -> None:
    async with Client(notes_server(), roles=["admin", "editor"]) as client:
        result = await client.call_tool("roles")

    assert result.structured_content == ["admin", "editor"]


async def test_a_token_of_ones_own_is_sent_as_it_is() -> None:
    key = "a-key-of-some-length-0123456789"
    async with Client(notes_server(), token=key, settings={"MCP_API_KEY": key}) as client:
        said = text_of(await client.call_tool("add", {"text": "milk"}))

    assert (said, client.grant) == ("api-key noted: milk", None)


async def test_of_several_endpoints_one_is_chosen_by_its_path() -> None:
    async with RunningServer({"/notes/mcp": notes_server(), "/more/mcp": notes_server()}) as running:
        async with running.client(path="/more/mcp") as client:
            assert client.grant is not None
            assert client.grant.resource == "http://127.0.0.1:8000/more/mcp"
            assert text_of(await client.call_tool("add", {"text": "milk"})) == "somebody noted: milk"
        with pytest.raises(ValueError, match="^Say by path= which endpoint: /notes/mcp, /more/mcp.$"):
            await running.client().__aenter__()


def _handle(message: dict[str, Any]) -> dict[str, Any] | None:
    if message["method"] != "tools/list":
        return None
    tools = [{"name": "bare", "inputSchema": {"type": "object"}}]
    return {"jsonrpc": "2.0", "id": message["id"], "result": {"tools": tools}}


@pytest.mark.parametrize("target", [_handle, JsonRpcHandler(_handle)], ids=["function", "handler"])
async def test_a_json_rpc_function_is_called(target: Any) -> None:
    async with Client(target) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["bare"]


async def test_a_server_on_standard_input_is_called_through_its_front() -> None:
    program = Path(__file__).parents[1] / "end_to_end" / "sdk_stdio_server.py"
    async with Client(Command(sys.executable, program)) as client:
        assert client.server_info is not None
        assert client.server_info.name == "sdk"


async def test_an_app_keeps_what_it_was_made_with() -> None:
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}, env_file=None)
    app = create_app(notes_server(), settings=settings, announce=lambda _banner: None)

    async with Client(app, user="alice") as client:
        assert text_of(await client.call_tool("add", {"text": "milk"})) == "alice noted: milk"
        assert client.grant is not None
        assert client.grant.access_token.count(".") == 2
    with pytest.raises(ValueError, match="made this app with arguments of its own"):
        Client(app, clock=Clock())


async def test_neither_the_environment_nor_a_file_beside_the_test_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("OAUTH_ACCESS_TOKEN_TTL=no number\nMCP_REQUIRE_AUTH=false\n")
    for name in ("MCP_PORT", "OAUTH_UPSTREAM_GITHUB_CLIENT_ID", "OAUTH_ROLE_ADMIN_USERS"):
        monkeypatch.setenv(name, "no value that it takes")
    monkeypatch.chdir(tmp_path)

    async with Client(notes_server()) as client:
        assert client.running.needs_tokens
    assert os.listdir(tmp_path) == [".env"]  # noqa: PTH208 - an async function


async def test_settings_are_given_by_their_names() -> None:
    roles = {"OAUTH_ROLE_READER_SCOPES": "notes:read"}
    async with Client(notes_server(), settings=roles, roles=["reader"]) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["roles", "greet"]

    with pytest.raises(SettingsError, match="MCP_PORT takes"):
        await Client(notes_server(), settings={"MCP_PORT": "none"}).__aenter__()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scopes": "notes:raed"}, "^Unknown: notes:raed. The scopes are: notes:write, notes:read.$"),
        (
            {"scopes": ["notes:write"], "user": "bob", "roles": ["reader"]},
            "^bob cannot be given notes:write: no role of theirs has it. Give one with roles=.$",
        ),
    ],
)
async def test_scopes_that_nobody_could_approve_are_refused(options: dict[str, Any], sentence: str) -> None:
    settings = {"OAUTH_ROLE_READER_SCOPES": "notes:read", "OAUTH_ROLE_WRITER_SCOPES": "notes:write"}
    with pytest.raises(ValueError, match=sentence):
        await Client(notes_server(), settings=settings, **options).__aenter__()


def test_an_era_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match='^era is "modern" or "handshake".$'):
        Client(notes_server(), era="stone")  # type: ignore[arg-type] # that is what is tried


async def test_what_belongs_to_the_server_is_not_given_to_a_client_of_one_that_runs() -> None:
    async with RunningServer(notes_server()) as running:
        with pytest.raises(ValueError, match="^The server runs already: give settings, clock and provider"):
            running.client(clock=Clock())


async def test_a_server_that_asks_for_no_tokens_gets_none() -> None:
    settings = {"MCP_REQUIRE_AUTH": "false", "MCP_IGNORE_SCOPES": "true", "OAUTH_ENABLED": "false"}
    async with Client(notes_server(), settings=settings) as client:
        assert text_of(await client.call_tool("add", {"text": "milk"})) == "anonymous noted: milk"
        assert client.grant is None
