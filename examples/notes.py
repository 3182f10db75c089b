"""A notebook for everybody who logs in: each user sees their own notes, and a restart loses none.

python examples/notes.py
"""

import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from gatepost import Context, Server, ToolError, run


class Note(BaseModel):
    """One note."""

    id: str = Field(description="names the note, for `remove`")
    text: str
    written_at: datetime


class Notebook:
    """All notes in one SQLite file, each under its owner's subject.

    Every operation opens the file anew, so it may be used from any thread and from several processes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._open() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS notes"
                " (id TEXT PRIMARY KEY, subject TEXT NOT NULL, text TEXT NOT NULL, written_at TEXT NOT NULL)"
            )

    def add(self, subject: str, text: str) -> Note:
        """Keep a note."""
        note = Note(id=secrets.token_hex(4), text=text, written_at=datetime.now(UTC))
        with self._open() as database:
            values = (note.id, subject, note.text, note.written_at.isoformat())
            database.execute("INSERT INTO notes (id, subject, text, written_at) VALUES (?, ?, ?, ?)", values)
        return note

    def find(self, subject: str, words: str = "", *, limit: int) -> list[Note]:
        """Return the user's notes that contain these words in any case, newest first."""
        query = "SELECT id, text, written_at FROM notes WHERE subject = ? ORDER BY rowid DESC"
        with self._open() as database:
            rows = database.execute(query, (subject,)).fetchall()
        notes = (Note(id=id_, text=text, written_at=written_at) for id_, text, written_at in rows)
        return list(islice((note for note in notes if words.casefold() in note.text.casefold()), limit))

    def remove(self, subject: str, id_: str) -> bool:
        """Remove a note; False when this user has none of that id."""
        with self._open() as database:
            return database.execute("DELETE FROM notes WHERE subject = ? AND id = ?", (subject, id_)).rowcount == 1

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            yield connection


def notes_file() -> Path:
    """Return where the notes lie: beside the server's own data."""
    return Path(os.environ.get("OAUTH_STORAGE_DIR", ".gatepost")).expanduser() / "notes.db"


@asynccontextmanager
async def open_notebook(_: Server) -> AsyncIterator[dict[str, Notebook]]:
    """Open the notebook once, when the server starts."""
    yield {"notebook": Notebook(notes_file())}


server = Server(
    "notes",
    title="Notes",
    instructions="The user's own notebook. Look with `search` or `recent` before you say that a note does not exist.",
    scopes={"notes:read": "Read your notes", "notes:write": "Add and remove notes in your name"},
    lifespan=open_notebook,
)

Limit = Annotated[int, Field(ge=1, le=100, description="return at most this many notes")]


@server.tool(scopes=["notes:write"])
def add(
    text: Annotated[str, Field(min_length=1, max_length=10_000, description="what to remember")], ctx: Context
) -> Note:
    """Keep a note for the user."""
    return ctx.state("notebook", Notebook).add(ctx.user.subject, text)


@server.tool(scopes=["notes:read"], annotations={"readOnlyHint": True})
def recent(ctx: Context, limit: Limit = 20) -> list[Note]:
    """List the user's notes, newest first."""
    return ctx.state("notebook", Notebook).find(ctx.user.subject, limit=limit)


@server.tool(scopes=["notes:read"], annotations={"readOnlyHint": True})
def search(words: str, ctx: Context, limit: Limit = 20) -> list[Note]:
    """Find the user's notes that contain these words, in any case, newest first."""
    return ctx.state("notebook", Notebook).find(ctx.user.subject, words, limit=limit)


@server.tool(scopes=["notes:write"], annotations={"destructiveHint": True, "idempotentHint": True})
def remove(note: Annotated[str, Field(description="the note's id, from `recent` or `search`")], ctx: Context) -> str:
    """Remove one of the user's notes for good."""
    if not ctx.state("notebook", Notebook).remove(ctx.user.subject, note):
        raise ToolError(f"There is no note {note}.")
    return f"Removed note {note}."


if __name__ == "__main__":
    run(server)
