"""Programs with typed tool and prompt objects, written for a library that has such, run with their imports renamed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gatepost import TokenInfo, TokenValidator, create_app
from gatepost.configuration.settings import load_settings
from tests.attacks.installed import ORIGIN
from tests.end_to_end.local_http import get, post
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.seeds.caller import Caller, caller_of, text_of
from tests.seeds.programs import mounted_objects, typed_objects

OPEN_TOOLS = ["ask", "tell_time", "note_visit", "divide", "find_user", "look_up", "say_agent"]


class ScopesInTheToken(TokenValidator):
    """A token says its own scopes, with dots between them."""

    async def validate_token(self, token: str, resource: str | None = None) -> TokenInfo | None:
        del resource
        subject, *scopes = token.split(".")
        return TokenInfo(subject=subject, scopes=scopes) if subject == "ada" else None


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "OAUTH_ENABLE_AS": "false"}, env_file=None)
    app = create_app(typed_objects.mcp_server, settings=settings, external=ScopesInTheToken(), announce=lambda _: None)
    async with caller_of(app) as calling:
        yield calling


async def test_tools_have_models_for_inputs_and_output(caller: Caller) -> None:
    assert await caller.call("ask", "ada", question="why") == {
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "shop", "version": "1.0.0"}},
        "resultType": "complete",
        "content": [{"type": "text", "text": '{"answer":"You said: why"}'}],
        "structuredContent": {"answer": "You said: why"},
        "isError": False,
    }
    listed = {tool["name"]: tool for tool in (await caller.result("tools/list", "ada"))["tools"]}
    assert listed["ask"]["inputSchema"]["properties"] == {"question": {"type": "string", "description": "What to ask"}}
    assert listed["ask"]["outputSchema"]["properties"]["answer"]["description"] == "What is answered"
    assert listed["ask"]["description"] == "Ask the shop."


async def test_tools_without_arguments_are_called_and_still_have_the_state(caller: Caller) -> None:
    assert len((await caller.call("tell_time", "ada"))["structuredContent"]["time"]) == len("12:00:00")
    assert (await caller.call("note_visit", "ada"))["structuredContent"] == {"success": True}


async def test_a_tool_error_is_what_the_client_reads(caller: Caller) -> None:
    assert (await caller.call("divide", "ada", value=20))["structuredContent"] == {"result": "5"}
    failed = await caller.call("divide", "ada", value=0)
    assert failed["isError"]
    assert failed["structuredContent"] == {"error_message": "Error calling divide: The value must not be 0"}


async def test_a_pool_and_a_cache_of_the_lifespan_are_shared_by_all_calls(caller: Caller) -> None:
    assert (await caller.call("find_user", "ada", user_id=7))["structuredContent"] == {
        "name": "user 7",
        "email": "7@example.com",
    }
    for number, key, value in ((1, "motto", "buy less"), (2, "absent", None)):
        found = (await caller.call("look_up", "ada", key=key))["structuredContent"]
        assert found == {"value": value, "total_requests": number}


async def test_the_request_is_there_with_its_headers(caller: Caller) -> None:
    agent = caller.http.headers["user-agent"]
    assert (await caller.call("say_agent", "ada", question="who"))["structuredContent"]["answer"] == f"who {agent}"


async def test_scopes_hide_tools_and_prompts_and_keep_them_from_being_used(caller: Caller) -> None:
    assert await caller.names("tools", "ada") == OPEN_TOOLS
    assert await caller.names("tools", "ada.private") == [*OPEN_TOOLS[:-1], "private_tool", OPEN_TOOLS[-1]]
    assert await caller.names("tools", "ada.superuser") == [*OPEN_TOOLS[:-1], "admin_tool", OPEN_TOOLS[-1]]
    assert await caller.names("prompts", "ada") == ["advise", "help_out"]

    assert text_of(await caller.call("private_tool", "ada.private")) == '{"message":"private, for ada"}'
    for scope in ("admin", "superuser"):
        assert text_of(await caller.call("admin_tool", f"ada.{scope}")) == '{"message":"for admins"}'
    for method, name, needed in (
        ("tools/call", "private_tool", "private"),
        ("tools/call", "admin_tool", "admin"),
        ("prompts/get", "private_prompt", "private"),
    ):
        refused = await caller.ask(method, "ada", name=name, arguments={})
        assert refused.status_code == 403
        assert f'scope="{needed}"' in refused.headers["www-authenticate"]


async def test_prompts_have_the_fields_of_their_model_and_the_state(caller: Caller) -> None:
    listed = (await caller.result("prompts/list", "ada"))["prompts"]
    assert listed[0]["arguments"] == [
        {"name": "topic", "description": "What the advice is about", "required": True},
        {"name": "with_steps", "description": "Whether to list steps", "required": False},
    ]
    assert "arguments" not in listed[1]

    async def said(name: str, token: str, **arguments: str) -> str:
        (message,) = (await caller.result("prompts/get", token, name=name, arguments=arguments))["messages"]
        text: str = message["content"]["text"]
        return text

    assert await said("advise", "ada", topic="tea") == "Give advice on tea. Called: none."
    await caller.call("ask", "ada", question="why")
    assert await said("advise", "ada", topic="tea", with_steps="true") == (
        "Give advice on tea. List the steps. Called: ask."
    )
    assert await said("help_out", "ada") == "Help the user."
    assert await said("private_prompt", "ada.private") == "Private, for ada."


def test_the_server_has_its_name_version_and_instructions() -> None:
    server = typed_objects.mcp_server
    assert (server.name, server.version, server.instructions) == ("shop", "1.0.0", "Ask before you buy.")


def test_the_program_serves_itself(tmp_path: Path) -> None:
    everybody = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false", "MCP_IGNORE_SCOPES": "true"}
    module = "tests.seeds.programs.typed_objects"
    with RunningServer("", tmp_path, module=module, environment=everybody) as server:
        health = get(f"{server.origin}/health").json()
        assert health == {"status": "ok", "server": "shop", "resources": [server.mcp_url]}
        listed = post(server.mcp_url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}).json()
        assert [tool["name"] for tool in listed["result"]["tools"]][:2] == ["ask", "tell_time"]


def test_on_stdio_headers_are_those_that_the_program_passes_and_scopes_do_not_count() -> None:
    def line(number: int, method: str, **params: Any) -> str:
        return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n"

    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
    calls: list[tuple[str, dict[str, str]]] = [
        ("say_agent", {"question": "who"}),
        ("private_tool", {}),
        ("admin_tool", {}),
    ]
    sent = [line(number, "tools/call", name=name, arguments=given) for number, (name, given) in enumerate(calls, 1)]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.seeds.programs.typed_objects_on_stdio"],
        input=line(0, "initialize", **hello) + "".join(sent),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    answers = {one["id"]: one["result"] for one in map(json.loads, ended.stdout.splitlines())}
    assert ended.returncode == 0
    assert [answers[number]["structuredContent"] for number in (1, 2, 3)] == [
        {"answer": "who a pipe"},
        {"message": "private, for "},
        {"message": "for admins"},
    ]


async def test_mounted_in_an_app_of_starlette_they_have_its_callers_and_its_state() -> None:
    async with AsyncExitStack() as stack:
        app = mounted_objects.build()
        # As a server runs it: what the lifespan yields is in the scope of each request (ASGI, "Lifespan State").
        lifespan = app.router.lifespan_context(app)
        state = await stack.enter_async_context(lifespan)

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {}), "client": ("203.0.113.9", 1)}, receive, send)

        transport = httpx2.ASGITransport(app=served)
        http = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=ORIGIN))
        caller = Caller(http, "/mcp/")
        assert (await caller.ask("tools/list")).status_code == 401
        assert "admin_tool" in await caller.names("tools", "any")
        assert (await caller.call("find_user", "any", user_id=7))["structuredContent"]["name"] == "user 7"
        assert text_of(await caller.call("private_tool", "any")) == '{"message":"private, for username"}'
        written = await caller.result("prompts/get", "any", name="private_prompt", arguments={})
        assert written["messages"][0]["content"]["text"] == "Private, for username."
