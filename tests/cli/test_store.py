import asyncio
import time
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.stores.sql.sqlite import file_store
from tests.stores.sample_records import redeem, session


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
    assert "browser sessions        1" in capsys.readouterr().out


def test_a_memory_store_cannot_be_reached_from_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")

    assert main(["store", "purge"]) == 2
    assert "lives inside the server process" in capsys.readouterr().err
