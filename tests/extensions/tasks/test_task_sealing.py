"""A copy of the store tells nothing of what tasks are about."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from gatepost import Context, Server, TaskOptions
from gatepost.extensions.tasks.sealing import TaskSeal
from gatepost.stores.sql.schema.catalogue import TABLES
from gatepost.stores.sql.sqlite import file_store
from gatepost.tokens.opaque import SecretKind, mint
from gatepost.tokens.sealing import KeyRing, SealBroken
from tests.extensions.tasks.task_world import ADA, World, text_of, until

MARK = "marked-by-the-test"
PERSON = replace(ADA, profile=f'{{"email":"{MARK}@example.com"}}')


class Sure(BaseModel):
    why: str


def a_server(gate: asyncio.Event, *, is_resumable: bool) -> Server:
    server = Server("tasks")

    @server.tool(task=TaskOptions(resumable=is_resumable))
    async def work(text: str, ctx: Context) -> str:
        kept = await ctx.once("kept", lambda: f"kept {text}")
        answer = await ctx.elicit(f"Sure of {text}?", Sure)
        await gate.wait()
        assert answer.data is not None
        return f"{kept}, {answer.data.why}"

    return server


def holds(path: Path) -> list[str]:
    """Return the tables that say what the call said."""
    found = []
    with closing(sqlite3.connect(path)) as connection:
        for table in TABLES:
            for row in connection.execute(f"SELECT * FROM {table.name}"):  # noqa: S608 - our own names
                values = [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row]
                found += [table.name for value in values if MARK in value]
    return found


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gatepost.db"


@pytest.mark.parametrize("is_resumable", [False, True])
async def test_arguments_questions_answers_results_and_whose_they_are_stand_nowhere_in_the_store(
    path: Path, gate: asyncio.Event, is_resumable: bool
) -> None:
    store = file_store(path)
    await store.open()
    async with World(lambda: a_server(gate, is_resumable=is_resumable), store).process() as process:
        process.principal = PERSON
        task_id = await process.begin("work", text=MARK)
        task = await process.until(task_id, "input_required")
        ((key, question),) = task["inputRequests"].items()
        assert question["params"]["message"] == f"Sure of {MARK}?"
        assert holds(path) == []
        answer = {key: {"action": "accept", "content": {"why": f"{MARK} asked"}}}
        await process.ask("tasks/update", taskId=task_id, inputResponses=answer)
        await process.until(task_id, "working")
        assert holds(path) == []
        gate.set()
        assert text_of(await process.until(task_id)) == f"kept {MARK}, {MARK} asked"
        assert holds(path) == []
    await store.close()


async def test_what_is_sealed_under_keys_that_are_gone_is_not_run_again(gate: asyncio.Event) -> None:
    world = World(lambda: a_server(gate, is_resumable=True))
    async with world.process() as process:
        task_id = await process.begin("work", text=MARK)
        await process.until(task_id, "input_required")
    world.time += 60
    world.key_ring = KeyRing([secrets.token_urlsafe(32)])
    async with world.process() as process:
        task = await process.until(task_id)
        assert (task["status"], task["error"]["code"]) == ("failed", -32603)
        await until(lambda: not process.runs.running)


def test_what_one_task_sealed_opens_under_no_other_id_and_no_other_name() -> None:
    ids = [mint(SecretKind.TASK, secrets.token_bytes) for _ in range(2)]
    seal, other = map(TaskSeal, ids)
    sealed = seal.sealed("response", {"a": b"yes"}, secrets.token_bytes)
    assert seal.opened("response", sealed) == {"a": b"yes"}
    for one, what, values in (
        (other, "response", sealed),
        (seal, "request", sealed),
        (seal, "response", {"b": sealed["a"]}),
        (seal, "response", {"a": sealed["a"][:-1] + bytes([sealed["a"][-1] ^ 1])}),
    ):
        with pytest.raises(SealBroken):
            one.opened(what, values)
