import asyncio
import io
import json
import re
import sys
import time
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.stores.conformance.records import redeem, session
from gatepost.stores.sql.sqlite import file_store, memory_store
from gatepost.stores.urls import Location


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCP_STORAGE_URL", f"sqlite:///{tmp_path / 'gatepost.db'}")
    return tmp_path / "gatepost.db"


async def fill(database: Path) -> None:
    """Keep one browser session that is over and a grant that is not."""
    store = file_store(database)
    await store.open()
    await store.browser_sessions.start_session(session(expires_at=1))
    await redeem(store, "1", expires_at=int(time.time()) + 1_000_000)
    await store.close()


def test_purge_deletes_what_is_over_and_says_how_much(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(database))

    assert main(["store", "purge"]) == 0

    rows = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["PURGED"] == "ROWS"
    assert rows["browser sessions"] == "1"
    assert rows["grants"] == "0"


def test_purge_goes_on_while_there_is_more_than_one_batch(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gatepost.stores.purging.BATCH", 1)
    asyncio.run(fill(database))

    assert main(["store", "purge"]) == 0
    assert ["browser", "sessions", "1"] in [line.split() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("action", [["purge"], ["backup", "copy.db"], ["restore", "copy.db"], ["revoke-all"]])
def test_a_memory_store_cannot_be_reached_from_the_terminal(
    action: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")

    assert main(["store", *action]) == 2
    assert "lives inside the server process" in capsys.readouterr().err


def run(*arguments: str) -> int:
    return main(["store", *arguments])


def use(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", f"sqlite:///{store_at}")


def live_grants(database: Path) -> list[str]:
    async def look() -> list[str]:
        store = file_store(database)
        await store.open()
        now = int(time.time())
        listed = await store.approvals.list_grants(live_at=now, subject=None, client_id=None, limit=10)
        await store.close()
        return [listing.grant.grant_id for listing in listed]

    return asyncio.run(look())


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert main(["audit", "--json"]) == 0
    return [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]


def test_revoke_all_ends_access_says_how_much_and_leaves_a_trace(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(database))

    assert run("revoke-all") == 0

    rows = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (rows["grants"], rows["browser sessions"], rows["authorization requests"]) == ("1", "1", "1")
    assert live_grants(database) == []
    assert events(capsys) == ["all_revoked"]


def test_revoke_all_before_a_time_leaves_what_came_later(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(database))

    assert run("revoke-all", "--before", "2020-01-01") == 0

    assert live_grants(database) == ["grant-1"]
    with pytest.raises(SystemExit, match="2"):
        run("revoke-all", "--before", "yesterday")
    assert "takes a date, a date and time, or a stretch of time such as 24h" in capsys.readouterr().err


def test_what_was_revoked_after_a_backup_does_not_live_again(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(database))
    assert run("backup", str(tmp_path / "copy.db")) == 0
    said = capsys.readouterr().out
    assert f"Copied the store {database} to {tmp_path / 'copy.db'} and checked the copy." in said
    assert f"the key file {database.with_suffix('.key')} alone, which is not in it" in said
    assert "What your tools keep in files of their own is not in it either." in said
    assert main(["grants", "revoke", "grant-1"]) == 0

    assert run("restore", str(tmp_path / "copy.db")) == 0

    said = capsys.readouterr().out
    assert f"Restored the store {database} from {tmp_path / 'copy.db'}." in said
    assert f"The store that was in its place is {database}.replaced-" in said
    assert re.search(r"grants +1\n", said)
    assert live_grants(database) == []
    assert sorted(events(capsys)) == ["all_revoked", "store_restored"]


def test_access_is_kept_where_that_is_asked_for(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(database))
    assert run("backup", str(tmp_path / "copy.db")) == 0
    use(tmp_path / "elsewhere" / "gatepost.db", monkeypatch)

    assert run("restore", "--keep-access", str(tmp_path / "copy.db")) == 0

    assert "in its place" not in capsys.readouterr().out
    assert live_grants(tmp_path / "elsewhere" / "gatepost.db") == ["grant-1"]
    assert events(capsys) == ["store_restored"]


def test_a_restored_store_without_its_key_file_says_what_to_copy(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server would make a key file of its own, and then say that it is the wrong one."""
    asyncio.run(fill(database))
    assert run("backup", str(tmp_path / "copy.db")) == 0
    use(tmp_path / "elsewhere" / "gatepost.db", monkeypatch)
    key_file = tmp_path / "elsewhere" / "gatepost.key"

    assert run("restore", str(tmp_path / "copy.db")) == 0
    assert f"There is no {key_file} yet: before a server starts, copy the key file" in capsys.readouterr().out
    key_file.touch()
    assert run("restore", str(tmp_path / "copy.db")) == 0
    assert "yet" not in capsys.readouterr().out
    key_file.unlink()
    monkeypatch.setenv("MCP_SEALING_KEYS", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH")
    assert run("restore", str(tmp_path / "copy.db")) == 0
    assert "yet" not in capsys.readouterr().out


def test_a_backup_that_cannot_be_made_is_one_sentence(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backup", str(tmp_path / "copy.db")) == 1
    assert capsys.readouterr().err.startswith(f"gatepost: There is no store at {database} ")
    asyncio.run(fill(database))
    (tmp_path / "copy.db").write_text("mine")

    assert run("backup", str(tmp_path / "copy.db")) == 1
    assert "exists already, and is not replaced: name another file" in capsys.readouterr().err
    assert run("restore", str(tmp_path / "none.db")) == 1
    assert capsys.readouterr().err == f"gatepost: there is no store at {tmp_path / 'none.db'}\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_a_backup_is(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(database))
    assert run("backup", str(tmp_path / "silent.db")) == 0
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    assert run("backup", str(tmp_path / "copy.db")) == 0

    assert terminal.getvalue().endswith("\r100 %\n")


def test_a_store_without_copies_of_ours_is_backed_up_by_its_own_means(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    location = Location(memory_store, lambda: True, is_lost_at_exit=False, key_file=None)
    monkeypatch.setattr(
        "gatepost.cli.store.reachable_location", lambda _settings, *, may_create: may_create or location
    )

    assert run("backup", "copy.db") == 2
    assert "backed up by its own means" in capsys.readouterr().err
