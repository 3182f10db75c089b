"""What is switched off at run time is unknown until it is switched on again, in either era."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from gatepost.protocol.errors import InvalidParams, ProtocolError
from gatepost.protocol.versions import Revision
from gatepost.server.changes.bus import Change
from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server
from tests.server.feature_server import ALL, a_server, ask
from tests.web.mcp.mcp_harness import MODERN_META
from tests.web.mcp.sessions.session_world import SessionWorld, request


def served(**options: Any) -> tuple[Server, ServerTarget]:
    server = a_server(**options)

    @server.tool(scopes=["notes:write"])
    async def add() -> str:
        return "added"

    @server.tool
    async def look() -> str:
        return "looked"

    return server, ServerTarget(server)


async def names(target: ServerTarget, method: str, revision: Revision = ALL[0]) -> list[str]:
    (member,) = {"tools/list": ["tools"], "prompts/list": ["prompts"], "resources/list": ["resources"]}.get(
        method, ["resourceTemplates"]
    )
    found = (await ask(target, method, revision=revision))[member]
    return [one.get("uri", one.get("uriTemplate", one["name"])) for one in found]


@pytest.mark.parametrize("revision", ALL)
async def test_a_tool_that_is_off_is_unknown_and_comes_back_to_its_place(revision: Revision) -> None:
    server, target = served()
    before = await names(target, "tools/list", revision)
    server.disable("add")

    assert await names(target, "tools/list", revision) == [name for name in before if name != "add"]
    assert "add" not in server.tools
    with pytest.raises(InvalidParams, match="^Unknown tool: add$"):
        await ask(target, "tools/call", {"name": "add", "arguments": {}}, revision=revision)
    # Also for who could not have called it: nobody finds out that it exists.
    with pytest.raises(InvalidParams, match="^Unknown tool: add$"):
        await ask(target, "tools/call", {"name": "add"}, revision=revision, granted=frozenset())

    server.enable("add")

    assert await names(target, "tools/list", revision) == before
    called = await ask(target, "tools/call", {"name": "add", "arguments": {}}, revision=revision)
    assert called["content"] == [{"type": "text", "text": "added"}]


async def test_a_resource_goes_by_its_uri_in_any_spelling_and_a_template_by_its_text() -> None:
    server, target = served()
    fixed, templates = await names(target, "resources/list"), await names(target, "resources/templates/list")

    server.disable("NOTES://%74oday")
    server.disable("notes://{number}")

    assert await names(target, "resources/list") == [uri for uri in fixed if uri != "notes://today"]
    assert await names(target, "resources/templates/list") == [text for text in templates if text != "notes://{number}"]
    for uri in ("notes://today", "notes://1"):
        with pytest.raises(ProtocolError, match="not found"):
            await ask(target, "resources/read", {"uri": uri})
    reference = {
        "ref": {"type": "ref/resource", "uri": "notes://{number}"},
        "argument": {"name": "number", "value": ""},
    }
    with pytest.raises(InvalidParams, match="Unknown resource template"):
        await ask(target, "completion/complete", reference)


async def test_a_prompt_that_is_off_is_unknown_and_prompts_stay_a_capability() -> None:
    server = Server("notes")

    @server.prompt
    async def review() -> str:
        return "Review."

    target = ServerTarget(server)
    server.disable("review")

    assert await names(target, "prompts/list") == []
    with pytest.raises(InvalidParams, match="Unknown prompt"):
        await ask(target, "prompts/get", {"name": "review"})
    assert "prompts" in (await ask(target, "server/discover"))["capabilities"]


def test_all_that_go_by_a_name_are_switched_unless_a_kind_is_said() -> None:
    server = Server("notes")

    @server.tool
    @server.prompt
    def review() -> str:
        return "Review."

    server.disable("review", kind="tool")
    assert (list(server.tools), list(server.prompts)) == ([], ["review"])
    server.disable("review")
    assert (list(server.tools), list(server.prompts)) == ([], [])
    server.enable("review")
    assert (list(server.tools), list(server.prompts)) == (["review"], ["review"])


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [("nothing", None, "tool, resource or prompt 'nothing'"), ("look", "prompt", "prompt 'look'")],
)
def test_what_there_is_not_cannot_be_switched(name: str, kind: Any, words: str) -> None:
    server, _ = served()

    with pytest.raises(LookupError, match=f"the server 'notes' has no {words}"):
        server.disable(name, kind=kind)


def test_those_who_may_know_of_it_are_told_once_for_each_switch() -> None:
    server, _ = served()
    heard: list[Change] = []
    server.changes.listen(heard.append)

    for switch in (server.disable, server.disable, server.enable, server.enable):
        switch("add")
    server.disable("notes://today")

    scopes = frozenset({"notes:write"})
    assert heard == [Change("tools", scopes), Change("tools", scopes), Change("resources")]


def test_what_is_added_while_something_is_off_is_on() -> None:
    server, _ = served()
    server.disable("add")

    @server.tool
    async def later() -> None: ...

    assert "later" in server.tools
    server.enable("add")
    assert list(server.tools)[-2:] == ["look", "later"]


async def test_a_tool_is_never_missing_while_another_thread_switches_its_neighbour() -> None:
    server, target = served()
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            server.disable("add")
            server.enable("add")

    switching = asyncio.create_task(asyncio.to_thread(switch))
    try:
        for _ in range(500):
            assert not (await ask(target, "tools/call", {"name": "look", "arguments": {}}))["isError"]
            await asyncio.sleep(0)
    finally:
        stop.set()
        await switching


async def test_clients_of_both_eras_that_listen_are_notified() -> None:
    world = SessionWorld()
    asked = {"toolsListChanged": True, "promptsListChanged": True}
    subscription = world.open(
        request("subscriptions/listen", {"notifications": asked, "_meta": MODERN_META}),
        mcp_protocol_version="2026-07-28",
        mcp_method="subscriptions/listen",
    )
    session = world.listen(await world.begin())
    await subscription.until_messages(1)
    await session.until(lambda: session.status == 200)

    world.server.disable("add")

    assert (await subscription.until_messages(2))[1]["method"] == "notifications/tools/list_changed"
    assert (await session.until_messages(1))[0]["method"] == "notifications/tools/list_changed"
    for connection in (subscription, session):
        connection.gone.set()
        await connection.finished()
