"""A file of SQLite that another process holds: clients wait, are told to come again, and lose nothing."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.faults.requests import READING, assert_unavailable
from tests.faults.world import IMPATIENT, SETTINGS, TARGET, World


def test_a_file_that_another_process_has_locked_answers_what_only_reads_until_it_is_free(tmp_path: Path) -> None:
    with RunningServer("", tmp_path / "data", module=IMPATIENT, environment=SETTINGS) as server:
        world = World(server, f"sqlite:///{server.data}/gatepost.db")
        requests = world.requests()
        with closing(sqlite3.connect(server.data / "gatepost.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert_unavailable(requests.send(), but=READING)
            world.assert_not_ready()
            other.execute("ROLLBACK")
        world.assert_whole(requests)


def test_a_lock_shorter_than_clients_wait_is_seen_by_nobody(tmp_path: Path) -> None:
    with RunningServer(TARGET, tmp_path / "data", environment=SETTINGS) as server:
        world = World(server, f"sqlite:///{server.data}/gatepost.db")
        requests = world.requests()
        path = server.data / "gatepost.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(1) as thread:
            other.execute("BEGIN IMMEDIATE")
            sending = thread.submit(requests.send, "register", "code", "refresh", "assertion", "revoke")
            for _ in range(100):  # as soon as they can be waiting, and however many of them do
                local_http.get(f"{server.origin}/health")
            other.execute("ROLLBACK")
            sent = sending.result(local_http.PATIENCE)
        assert {answer.status_code for answer in sent.values()} == {200, 201}
