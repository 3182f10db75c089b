"""A disk that is full: nothing is acknowledged that is not kept, and once there is room all goes on."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.stores.contract.store import Store
from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.faults import small_file_system as small
from tests.faults.requests import READING, assert_unavailable, statuses, with_store
from tests.faults.small_file_system import SmallFileSystem, small_file_system
from tests.faults.world import IMPATIENT, SETTINGS, World
from tests.postgresql_instance import Instances, PostgresqlInstance

MOST_REGISTRATIONS = 20_000


@pytest.fixture
def disk(require_service: RequireService) -> Iterator[SmallFileSystem]:
    require_service("the right to mount a small file system", available=small.is_possible())
    with small_file_system(64) as mounted:
        yield mounted


def register_until_refused(world: World) -> list[str]:
    """Register clients until the store has no room for the smallest; return those who were told that they are known."""
    known: list[str] = []
    # Where a row with a long name does not fit any more, one with a short name may.
    name_bytes = [64, 1]
    with local_http.client(base_url=world.server.origin) as http:
        for _ in range(MOST_REGISTRATIONS):
            name = secrets.token_hex(name_bytes[0])
            metadata = {"client_name": name, "redirect_uris": ["http://127.0.0.1:9999/callback"]}
            answer = http.post("/oauth/register", json=metadata)
            if answer.status_code == 201:
                known.append(answer.json()["client_id"])
                continue
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), answer.text
            if len(name_bytes) == 1:
                return known
            del name_bytes[0]
    raise AssertionError("the disk is never full")


async def _missing(store: Store, clients: list[str]) -> list[str]:
    return [client_id for client_id in clients if await store.clients.find_client(client_id) is None]


def assert_known(world: World, clients: list[str]) -> None:
    assert with_store(world.place, lambda store: _missing(store, clients)) == []


def test_sqlite_on_a_full_disk_answers_what_only_reads_and_refuses_the_rest(disk: SmallFileSystem) -> None:
    place = f"sqlite:///{disk.folder}/data/gatepost.db"
    with RunningServer("", disk.folder / "data", module=IMPATIENT, environment=SETTINGS) as server:
        world = World(server, place)
        requests = world.requests()
        disk.fill()
        known = register_until_refused(world)
        sent = requests.send()
        assert_unavailable(sent, but=READING)
        world.assert_not_ready()
        disk.free()
        world.assert_whole(requests)
        assert_known(world, known)


@pytest.fixture
def primary(instances: Instances, disk: SmallFileSystem) -> PostgresqlInstance:
    """A database whose tables lie on the small disk, and its log does not."""
    made = instances.primary()
    folder = disk.folder / "tables"
    folder.mkdir()
    made.give(folder)
    made.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
    made.execute("CREATE DATABASE small TABLESPACE small")
    return made


def test_postgresql_without_room_for_its_tables_refuses_what_needs_more(
    disk: SmallFileSystem, primary: PostgresqlInstance, tmp_path: Path
) -> None:
    """Rows that fit where there is room still are kept, and said to be."""
    place = primary.url.rpartition("/")[0] + "/small"
    environment = {**SETTINGS, "MCP_STORAGE_URL": place}
    with RunningServer("", tmp_path, module=IMPATIENT, environment=environment) as server:
        world = World(server, place)
        requests = world.requests()
        disk.fill()
        known = register_until_refused(world)
        assert world.probe("/health") == 200
        sent = requests.send("register", "introspect", "call in a session", "call without a session")
        assert_unavailable(sent, but=READING)
        disk.free()
        world.assert_whole(requests)
        assert_known(world, known)


def test_postgresql_without_room_for_its_log_ends_and_nothing_that_was_acknowledged_is_lost(
    disk: SmallFileSystem, instances: Instances, tmp_path: Path
) -> None:
    """PostgreSQL cannot go on then; somebody makes room and starts it, and Gatepost goes on by itself."""
    primary = instances.primary(min_wal_size="2MB", max_wal_size="8MB")
    primary.stop()
    primary.move_log(disk.folder / "log")
    primary.start()
    environment = {**SETTINGS, "MCP_STORAGE_URL": primary.url}
    with RunningServer("", tmp_path / "data", module=IMPATIENT, environment=environment) as server:
        world = World(server, primary.url)
        requests = world.requests()
        disk.fill()
        known = register_until_refused(world)
        sent = requests.send("code", "refresh", "assertion", "register", "initialize")
        assert set(statuses(sent).values()) == {503}
        world.assert_not_ready()
        disk.free()
        primary.stop("immediate")
        primary.start()
        world.assert_whole(requests)
        assert_known(world, known)
