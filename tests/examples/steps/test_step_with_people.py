"""Step 9 of the tutorial: people log in here, and tools and prompts know who calls."""

from __future__ import annotations

import json

import pytest
from mcp_types import TextContent

from examples.steps.step_9_user_context import SAYS_WHO, roles, server
from gatepost.testing import RunningServer
from tests.testing.notes_server import text_of

GUEST = {"roles": ["guest"], "scopes": ["mcp:read"]}
USER = {"roles": ["guest", "user"], "scopes": ["mcp:read", "mcp:tools"]}
ADMIN = {"roles": ["admin", "guest"], "scopes": ["mcp:prompts", "mcp:read", "mcp:tools"]}


@pytest.mark.parametrize(
    ("user", "given", "expected"),
    [("ada", ["admin"], ADMIN), ("alice", [], USER), ("bob", [], USER), ("carol", [], GUEST)],
)
async def test_step_9_of_the_tutorial_knows_who_calls_and_in_which_roles(
    user: str, given: list[str], expected: dict[str, list[str]]
) -> None:
    async with RunningServer(server, roles=roles, settings=SAYS_WHO) as running:
        await running.user(user, roles=given)
        async with running.client(user=user) as client:
            said = await client.call_tool("whoami")
            names = [tool.name for tool in (await client.list_tools()).tools]

    result = json.loads(text_of(said))
    assert result.pop("app")
    assert result == {"name": user, **expected}
    assert names == (["whoami", "get_time"] if expected == GUEST else ["whoami", "echo", "get_time"])
    assert said.meta is not None
    who = said.meta["gatepost/caller"]
    assert (who["name"], who["roles"], who["scopes"]) == (user, expected["roles"], expected["scopes"])


async def test_prompts_of_step_9_depend_on_whoever_asks() -> None:
    async with RunningServer(server, roles=roles) as running:
        async with running.client(user="ada", roles=["admin"]) as ada:
            greeting = await ada.get_prompt("greeting")
            told_admin = await ada.get_prompt("help")
        async with running.client(user="alice") as alice:
            told_user = await alice.get_prompt("help")

    assert greeting.messages[0].content == TextContent(
        type="text", text="Greet ada, who is here as admin and guest, in one friendly sentence."
    )
    assert told_admin.messages != told_user.messages


async def test_tools_of_step_9_answer_in_the_name_of_whoever_calls() -> None:
    async with RunningServer(server, roles=roles) as running, running.client(user="alice") as alice:
        assert text_of(await alice.call_tool("echo", {"message": "hello"})) == "alice: hello"
