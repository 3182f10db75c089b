"""Tasks in the wrong hands: another person's, another app's, guessed, and too many (ext-tasks, "Security")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gatepost import Context, Server, TaskOptions
from gatepost.extensions.tasks.settings import TASKS
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from gatepost.testing import RunningServer
from gatepost.tokens.opaque import SecretKind, fingerprint, looks_like

FORM = {"type": "object", "properties": {"sure": {"type": "boolean"}}}
DECLARED: dict[str, Any] = {"elicitation": {}, "extensions": {TASKS: {}}}
METHODS = ("tasks/get", "tasks/update", "tasks/cancel")


class Caller:
    """One token at the server."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def send(self, method: str, named: str, /, **params: Any) -> httpx2.Response:
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": DECLARED,
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28"}
        return await self.http.post("/mcp", json=message, headers={**headers, "Mcp-Method": method, "Mcp-Name": named})

    async def begin(self) -> str:
        answer = await self.send("tools/call", "ask", name="ask", arguments={})
        task_id: str = answer.json()["result"]["taskId"]
        return task_id

    async def about(self, task_id: str, method: str = "tasks/get", **params: Any) -> httpx2.Response:
        more: dict[str, Any] = {"inputResponses": {}} if method == "tasks/update" else {}
        return await self.send(method, task_id, taskId=task_id, **more, **params)

    async def status(self, task_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.about(task_id)).json()["result"]
        return found


@pytest.fixture
def store() -> Store:
    return memory_store()


@pytest.fixture
async def running(store: Store) -> AsyncIterator[RunningServer]:
    server = Server("tasks", scopes={"work": "Work", "look": "Look"})

    @server.tool(task=True, scopes=["work"])
    async def ask(ctx: Context) -> str:
        answer = await ctx.elicit("Sure?", FORM)
        return f"a secret, and {answer.action}"

    @server.tool(scopes=["look"], task=TaskOptions(after=None))
    async def look() -> str:
        return "nothing"

    async with RunningServer(server, store=store, settings={"MCP_TASKS_PER_USER": "5"}) as running:
        yield running


async def caller(running: RunningServer, user: str, *scopes: str) -> Caller:
    return Caller(running.http(await running.token(user, scopes or None)))


async def asked(someone: Caller, task_id: str) -> str:
    async with asyncio.timeout(30):
        while True:
            task = await someone.status(task_id)
            if task["status"] == "input_required":
                (key,) = task["inputRequests"]
                return str(key)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("whose", ["another person", "another app of the same person"])
async def test_the_task_of_another_is_answered_exactly_as_one_that_there_is_not(
    running: RunningServer, method: str, whose: str
) -> None:
    ada = await caller(running, "ada")
    task_id = await ada.begin()
    key = await asked(ada, task_id)
    if whose == "another person":
        other = await caller(running, "mallory")
    else:
        assert running._grants is not None
        running._grants._client = None
        other = await caller(running, "ada")

    responses = {"inputResponses": {key: {"action": "accept", "content": {"sure": True}}}}
    more = responses if method == "tasks/update" else {}
    unknown = task_id[:-1] + ("A" if task_id[-1] != "A" else "B")
    theirs, none = [await other.send(method, one, taskId=one, **more) for one in (task_id, unknown)]
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (400, -32602)
    assert (theirs.status_code, theirs.content) == (none.status_code, none.content)
    assert (await ada.status(task_id))["status"] == "input_required"


async def test_nobody_hears_of_the_task_of_another(running: RunningServer) -> None:
    task_id = await (await caller(running, "ada")).begin()
    mallory = await caller(running, "mallory")
    listening = {"notifications": {"taskIds": [task_id]}}
    stream = await mallory.send("tools/call", "ask", name="ask", arguments={})  # a task of their own, which is heard of
    own = stream.json()["result"]["taskId"]
    listening["notifications"]["taskIds"].append(own)
    request = mallory.http.build_request(
        "POST",
        "/mcp",
        json={
            "jsonrpc": "2.0",
            "id": 2,
            "method": "subscriptions/listen",
            "params": {
                **listening,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": DECLARED,
                },
            },
        },
        headers={
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "subscriptions/listen",
        },
    )
    answer = await mallory.http.send(request, stream=True)
    heard = ""
    async with asyncio.timeout(30):
        async for chunk in answer.aiter_text():
            heard += chunk
            if "notifications/tasks" in heard:
                break
    await answer.aclose()
    assert own in heard
    assert task_id not in heard


async def test_ids_are_random_and_only_their_hashes_are_kept(running: RunningServer, store: Store) -> None:
    ada = await caller(running, "ada")
    ids = {await ada.begin() for _ in range(4)}
    assert len(ids) == 4
    assert all(looks_like(SecretKind.TASK, each) for each in ids)
    assert len(await store.tasks.list_versions([fingerprint(each) for each in ids])) == 4


async def test_a_token_with_fewer_scopes_than_the_tool_needs_does_not_get_at_its_tasks(running: RunningServer) -> None:
    task_id = await (await caller(running, "ada")).begin()
    less = await caller(running, "ada", "look")
    for method in METHODS:
        assert (await less.about(task_id, method)).status_code == 403


async def test_without_a_token_nothing_is_found(running: RunningServer) -> None:
    task_id = await (await caller(running, "ada")).begin()
    nobody = Caller(running.http())
    for method in METHODS:
        assert (await nobody.about(task_id, method)).status_code == 401


async def test_a_flood_of_tasks_is_refused_and_others_go_on(running: RunningServer) -> None:
    mallory, bob = await caller(running, "mallory"), await caller(running, "bob")
    statuses = [(await mallory.send("tools/call", "ask", name="ask", arguments={})).status_code for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3
    assert (await bob.status(await bob.begin()))["status"] in {"working", "input_required"}


async def test_when_access_is_taken_back_the_task_ends_and_its_result_is_nobodys(running: RunningServer) -> None:
    grant = await running.grant("ada")
    ada = Caller(running.http(grant.access_token))
    task_id = await ada.begin()
    await asked(ada, task_id)
    await grant.revoke()
    assert (await ada.about(task_id)).status_code == 401
