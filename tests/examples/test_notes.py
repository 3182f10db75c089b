"""The notes example: everybody has their own notes, and a restart loses none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.notes import Notebook, add, notes_file, recent, remove, search, server
from gatepost import Context, ToolError
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange
from gatepost.testing import RunningServer


def context(notebook: Notebook, subject: str) -> Context:
    """What a tool sees when this user calls it."""
    principal = Principal(
        subject=subject,
        client_id="client",
        scopes=frozenset({"notes:read", "notes:write"}),
        resource="https://notes.example/mcp",
        issuer="https://notes.example",
        grant_id=None,
        expires_at=None,
    )
    return Context(Exchange(principal), state={"notebook": notebook})


@pytest.fixture
def notebook(tmp_path: Path) -> Notebook:
    """An empty notebook."""
    return Notebook(tmp_path / "data" / "notes.db")


@pytest.fixture
def alice(notebook: Notebook) -> Context:
    """One user."""
    return context(notebook, "alice")


@pytest.fixture
def bob(notebook: Notebook) -> Context:
    """Another user of the same notebook."""
    return context(notebook, "bob")


def test_notes_are_listed_newest_first_as_they_were_written(alice: Context) -> None:
    before = datetime.now(UTC)
    written = [add(f"note {number}", alice) for number in range(3)]

    assert recent(alice) == written[::-1]
    assert recent(alice, limit=2) == written[:0:-1]
    assert all(before <= note.written_at <= datetime.now(UTC) for note in written)


def test_search_ignores_case_and_keeps_the_order(alice: Context) -> None:
    street, _, alley = add("Große Straße", alice), add("Markt", alice), add("STRASSE 5", alice)

    assert search("strasse", alice) == [alley, street]
    assert search("strasse", alice, limit=1) == [alley]
    assert search("100%", alice) == []


def test_users_neither_see_nor_remove_each_others_notes(alice: Context, bob: Context) -> None:
    note = add("alice's secret", alice)

    assert recent(bob) == []
    assert search("secret", bob) == []
    with pytest.raises(ToolError, match=f"^There is no note {note.id}.$"):
        remove(note.id, bob)
    assert recent(alice) == [note]


def test_a_removed_note_is_gone(alice: Context) -> None:
    kept, removed = add("keep", alice), add("remove", alice)

    assert remove(removed.id, alice) == f"Removed note {removed.id}."
    assert recent(alice) == [kept]


def test_notes_survive_a_restart(alice: Context, tmp_path: Path) -> None:
    note = add("remember", alice)

    assert recent(context(Notebook(tmp_path / "data" / "notes.db"), "alice")) == [note]


def test_notes_lie_beside_the_servers_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_STORAGE_DIR", "~/data")
    assert notes_file() == Path.home() / "data" / "notes.db"

    monkeypatch.delenv("OAUTH_STORAGE_DIR")
    assert notes_file() == Path(".gatepost/notes.db")


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[RunningServer]:
    """The server with its notes in a folder of the test."""
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(tmp_path))
    async with RunningServer(server) as running:
        yield running


async def test_clients_keep_and_find_the_notes_of_their_user(running: RunningServer) -> None:
    async with running.client(user="alice") as alice, running.client(user="bob") as bob:
        tools = {tool.name: [*tool.input_schema["properties"]] for tool in (await alice.list_tools()).tools}
        kept = await alice.call_tool("add", {"text": "through the server"})
        found = await alice.call_tool("search", {"words": "SERVER"})

        assert tools == {"add": ["text"], "recent": ["limit"], "search": ["words", "limit"], "remove": ["note"]}
        assert found.structured_content == [kept.structured_content]
        assert (await bob.call_tool("recent")).structured_content == []
        assert (await bob.call_tool("remove", {"note": kept.structured_content["id"]})).is_error


@pytest.mark.parametrize(("scope", "tools"), [("notes:read", ["recent", "search"]), ("notes:write", ["add", "remove"])])
async def test_each_scope_opens_its_tools(running: RunningServer, scope: str, tools: list[str]) -> None:
    async with running.client(scopes=[scope]) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == tools
