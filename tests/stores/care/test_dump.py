"""A store in PostgreSQL is backed up by pg_dump while it is used, and restored elsewhere (docs/backup.md)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from gatepost.stores.care.checking import check_store
from gatepost.stores.conformance.records import NOW, WINDOW, client, fp, redeem, tokens
from gatepost.stores.contract.grants import RotateOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.urls import locate
from tests import postgresql_instance
from tests.conftest import RequireService
from tests.stores.care.conftest import NewPlace
from tests.stores.care.filled import RING, fill
from tests.stores.care.places import opened, rows_of


@pytest.fixture
def programs(require_service: RequireService) -> Path:
    """Where pg_dump and pg_restore are."""
    found = postgresql_instance.programs()
    is_there = found is not None and all((found / name).exists() for name in ("pg_dump", "pg_restore"))
    require_service("pg_dump", available=is_there)
    assert found is not None
    return found


@pytest.fixture
async def source(new_place: NewPlace) -> AsyncIterator[tuple[str, Store]]:
    """The URL of a store that holds something of everything, and the store, as a server has it open."""
    url = new_place("postgresql")
    async with opened(url) as store:
        await fill(store)
        yield url, store


@pytest.fixture
def restored(source: tuple[str, Store], own_database: str) -> str:
    """The URL of the same schema in another database, in which nothing is yet."""
    return urlunsplit(urlsplit(source[0])._replace(path=urlsplit(own_database).path))


async def run(program: Path, *arguments: str) -> None:
    """Run one of PostgreSQL's programs to its end."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stderr=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]}
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


async def dump_and_restore(programs: Path, url: str, restored: str, file: Path) -> None:
    schema = url.partition("search_path=")[2].partition("&")[0]
    await run(programs / "pg_dump", "--format=custom", f"--file={file}", f"--schema={schema}", f"--dbname={plain(url)}")
    await run(programs / "pg_restore", "--exit-on-error", f"--dbname={plain(restored)}", str(file))


def plain(url: str) -> str:
    """Without the settings of a URL, which libpq does not know as options."""
    return urlunsplit(urlsplit(url)._replace(query=""))


async def use(store: Store, number: int) -> None:
    """Do what a server does."""
    await redeem(store, f"meanwhile-{number}")
    pair = tokens(f"meanwhile-{number}+", f"grant-meanwhile-{number}")
    await store.grants.rotate_refresh_token(fp(f"refresh meanwhile-{number}"), pair, b"sealed", now=NOW, window=WINDOW)
    await store.clients.register_client(client(f"meanwhile-{number}"))


async def test_a_dump_of_a_store_in_use_restores_to_a_sound_store_of_one_moment(
    source: tuple[str, Store], restored: str, programs: Path, tmp_path: Path
) -> None:
    url, store = source
    dumping = asyncio.create_task(dump_and_restore(programs, url, restored, tmp_path / "gatepost.dump"))
    written = 0
    while not dumping.done():
        await use(store, written)
        written += 1
    await dumping

    report = await check_store(locate(restored), ring=RING, now=NOW)

    assert written > 0
    assert (report.problems, report.state) == ([], "current")
    assert report.sealed_under == {RING.key_ids[0]: 3}
    # Acknowledged one after the other: what is there is all of the first, and nothing after the first that is missing.
    there = {name for (name,) in rows_of(restored, "SELECT client_id FROM clients WHERE client_id LIKE 'meanwhile-%'")}
    assert there == {f"meanwhile-{number}" for number in range(len(there))}
    async with opened(restored) as again:
        assert (await again.grants.find_access_token(fp("access 2"), now=NOW)) is not None
        await use(again, written)


async def test_what_was_revoked_after_a_dump_counts_again_until_all_is_revoked(
    source: tuple[str, Store], restored: str, programs: Path, tmp_path: Path
) -> None:
    url, store = source
    await dump_and_restore(programs, url, restored, tmp_path / "gatepost.dump")
    assert await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
    assert await store.users.disable_user("user-2", now=NOW)

    async with opened(restored) as again:
        found = await again.grants.find_access_token(fp("access 2"), now=NOW)
        assert found is not None
        assert not found.grant_revoked, "this is why the next step is in docs/backup.md"
        await again.approvals.revoke_all(issued_before=None, reason="operator_revoked", now=NOW)

        found = await again.grants.find_access_token(fp("access 2"), now=NOW)
        assert found is not None
        assert found.grant_revoked
        pair = tokens("late", "grant-1")
        late = await again.grants.rotate_refresh_token(fp("refresh 2"), pair, b"s", now=NOW, window=WINDOW)
        assert late.outcome is RotateOutcome.DEAD
        bob = await again.users.find_user("bob")
        assert bob is not None
        assert bob.disabled_at is None, "accounts are for people to look at"
