"""What `gatepost check` says of the store, its files, the disk and its keys."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gatepost.cli.checks.finding import Finding
from gatepost.cli.checks.keys import keys_found
from gatepost.cli.checks.store import store_found
from gatepost.configuration.settings import load_settings
from gatepost.stores.care.state import KNOWN_VERSION
from gatepost.stores.contract.store import Store
from gatepost.stores.urls import locate
from tests.end_to_end.running_server import free_port
from tests.stores.care.conftest import NewPlace, new_place
from tests.stores.care.filled import NEW, OLD, fill
from tests.stores.care.places import run_in

__all__ = ["new_place"]
DAY = 24 * 3600
NOW = 1_800_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, new_place: NewPlace, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a store that holds something of everything."""
    url = new_place(request.param)
    monkeypatch.setenv("MCP_STORAGE_URL", url)
    monkeypatch.setenv("MCP_SEALING_KEYS", OLD)
    with_store_at(url, fill)
    return url


@pytest.fixture
def file(new_place: NewPlace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of such a store in SQLite."""
    url = new_place("sqlite")
    monkeypatch.setenv("MCP_STORAGE_URL", url)
    monkeypatch.setenv("MCP_SEALING_KEYS", OLD)
    with_store_at(url, fill)
    return Path(url.removeprefix("sqlite:///"))


def with_store_at(url: str, operation: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    async def make() -> None:
        store = locate(url).make_store()
        await store.open()
        await operation(store)
        await store.close()

    asyncio.run(make())


def about_store() -> dict[str, Finding]:
    _, found = asyncio.run(store_found(load_settings()))
    return {finding.item: finding for finding in found}


def about_keys(*, now: int = NOW) -> list[tuple[str, str, str]]:
    async def look() -> list[Finding]:
        status, _ = await store_found(load_settings())
        return await keys_found(load_settings(), status, now=now)

    return [(finding.item, finding.mark, finding.says) for finding in asyncio.run(look())]


def test_a_store_with_this_schema_opens(filled: str) -> None:
    store = about_store()["store"]
    assert (store.mark, store.says.endswith("opens, with the schema of this Gatepost.")) == ("ok", True)
    assert filled


@pytest.mark.parametrize(
    ("version", "oldest_code", "mark", "words"),
    [
        (13, 13, "note", "the next start migrates it. Make a copy first: gatepost store backup."),
        (1000, 13, "note", "and works with it."),
        (1000, 1000, "wrong", "use the Gatepost that migrated it."),
    ],
)
def test_another_schema_is_said_and_stays_as_it_is(
    filled: str, version: int, oldest_code: int, mark: str, words: str
) -> None:
    run_in(filled, f"UPDATE schema_version SET version = {version}, oldest_code = {oldest_code}")  # noqa: S608 - numbers
    for _ in range(2):
        store = about_store()["store"]
        assert store.mark == mark
        assert f"schema version {version}; this Gatepost knows versions up to {KNOWN_VERSION}" in store.says
        assert store.says.endswith(words)


def test_a_database_that_does_not_answer_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", f"postgresql://gatepost:hush@127.0.0.1:{free_port()}/gatepost")
    store = about_store()["store"]
    assert (store.mark, store.exit_code, "hush" in store.says) == ("wrong", 1, False)


def test_something_else_in_the_stores_place_is_wrong(file: Path) -> None:
    file.write_bytes(b"a photograph of a horse" * 100)
    store = about_store()["store"]
    assert (store.mark, "holds something else than a database" in store.says) == ("wrong", True)


def test_files_that_others_may_read_are_named(file: Path) -> None:
    assert about_store()["store files"].mark == "ok"
    file.chmod(0o640)
    _, found = asyncio.run(store_found(load_settings()))
    notes = [finding for finding in found if finding.mark == "note"]
    assert notes == [Finding("store files", "note", f"{file} has mode 0640: chmod 600 it.")]


@pytest.mark.parametrize("refused", ["directory", "file"])
def test_what_this_user_may_not_write_is_wrong(file: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    path = file if refused == "file" else file.parent
    may = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != path and may(place, mode))
    found = about_store()["store files"]
    assert (found.mark, found.says.startswith(f"{path} is not "), found.says.endswith("chown or chmod it.")) == (
        "wrong",
        True,
        True,
    )


@pytest.mark.parametrize(("free", "mark"), [(10**6, "wrong"), (10**9 // 2, "note"), (10**10, "ok")])
def test_a_disk_is_full_little_or_fine(file: Path, monkeypatch: pytest.MonkeyPatch, free: int, mark: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: SimpleNamespace(free=free))
    disk = about_store()["disk"]
    assert (disk.mark, f"{free / 1e9:.1f} GB are free at {file.parent}" in disk.says) == (mark, True)


def test_a_directory_that_is_not_there_is_looked_at_where_it_would_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(tmp_path / "a" / "b"))
    found = about_store()
    assert found["store"].says.startswith(f"There is none at {tmp_path}/a/b/gatepost.db yet")
    assert found["store files"].says == f"{tmp_path} is writable for this user."
    assert not (tmp_path / "a").exists()


def test_the_keys_at_hand_open_what_is_sealed_and_signing_keys_say_their_age(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing, signing = about_keys()
    assert sealing == ("sealing keys", "ok", "The key of MCP_SEALING_KEYS opens what the store keeps sealed: 3 values.")
    assert signing[:2] == ("signing keys", "ok")
    assert signing[2] == "Access tokens are opaque (OAUTH_ACCESS_TOKEN_FORMAT), so none is needed."
    monkeypatch.setenv("OAUTH_ACCESS_TOKEN_FORMAT", "jwt")
    _, signing = about_keys(now=NOW + 3 * DAY)
    assert signing[2].endswith(" (ES256, 3 days old) signs.")
    *_, old = about_keys(now=NOW + 400 * DAY)
    assert old[1] == "note"
    assert old[2].endswith(" is 400 days old: gatepost keys rotate replaces it.")
    assert filled


def test_a_key_that_is_not_the_stores_is_wrong(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SEALING_KEYS", NEW)
    ((item, mark, says),) = [line for line in about_keys() if line[0] == "sealing keys"]
    assert (item, mark, says.startswith("The store was sealed with the key ")) == ("sealing keys", "wrong", True)
    monkeypatch.setenv("MCP_SEALING_KEYS", f"{OLD} {NEW}")
    lines = about_keys()
    assert lines[0] == (
        "sealing keys",
        "ok",
        "The 2 keys of MCP_SEALING_KEYS open what the store keeps sealed: 3 values.",
    )
    assert lines[1][1:] == (
        "note",
        f"Nothing is sealed under {key_name(NEW)}: it can be taken out of MCP_SEALING_KEYS.",
    )
    assert filled


def key_name(key: str) -> str:
    from gatepost.tokens.sealing import KeyRing  # noqa: PLC0415 - for this alone

    return KeyRing([key]).key_ids[0]


def test_a_sealed_value_that_was_altered_is_wrong(filled: str) -> None:
    run_in(filled, "UPDATE upstream_tokens SET subject = 'user-2'")
    assert ("sealing keys", "wrong") in [line[:2] for line in about_keys()]


def test_a_key_file_that_is_missing_or_open_to_others_is_wrong(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCP_SEALING_KEYS")
    key = file.with_suffix(".key")
    ((_, mark, says),) = about_keys()
    assert (mark, f"there is no {key}, and the store was sealed under a key" in says) == ("wrong", True)
    assert not key.exists()
    key.write_text(OLD)
    key.chmod(0o644)
    ((_, mark, says),) = about_keys()
    assert (mark, says) == (
        "wrong",
        f"The key file {key} can be read by others: chmod 600 it, or set MCP_SEALING_KEYS.",
    )
    key.chmod(0o600)
    assert about_keys()[0][1:] == ("ok", f"The key of {key} opens what the store keeps sealed: 3 values.")


def test_without_a_store_a_key_is_as_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(tmp_path))
    assert about_keys() == [
        ("sealing keys", "ok", f"There is none yet; the first start makes one in {tmp_path / 'gatepost.key'}.")
    ]
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")
    assert about_keys()[0][1] == "ok"
    monkeypatch.delenv("MCP_STORAGE_URL")
    monkeypatch.setenv("MCP_SEALING_KEYS", OLD)
    assert [line[:2] for line in about_keys()] == [("sealing keys", "ok"), ("signing keys", "skipped")]
