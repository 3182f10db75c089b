"""The servers that tests start for themselves: they end with their starter, and break as they are told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgresql_instance
from tests.conftest import RequireService
from tests.end_to_end.running_server import REPOSITORY
from tests.postgresql_instance import PATIENCE, Instances, postgresql_instances

FORGETFUL = """
import time
from tests.postgresql_instance import postgresql_instances

with postgresql_instances() as instances:
    print(instances.primary(is_durable=False).folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def instances(require_service: RequireService) -> Iterator[Instances]:
    require_service("PostgreSQL's programs", available=postgresql_instance.is_possible())
    with postgresql_instances() as made:
        yield made


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("instances")
def test_a_server_ends_and_its_folder_goes_when_its_starter_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FORGETFUL], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        folder = Path(starter.stdout.readline().strip())
        pid = int((folder / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        assert runs(pid)
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while runs(pid) or folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_is_left_of_a_server_after_its_block(require_service: RequireService) -> None:
    require_service("PostgreSQL's programs", available=postgresql_instance.is_possible())
    with postgresql_instances() as instances:
        primary = instances.primary(is_durable=False)
        pid = int((primary.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    assert not runs(pid)
    assert not primary.folder.exists()


def test_what_was_committed_outlives_a_crash_and_what_a_standby_did_not_get_is_not_there_after_it_took_over(
    instances: Instances,
) -> None:
    primary = instances.primary()
    primary.execute("CREATE TABLE kept (number int)", "INSERT INTO kept VALUES (1)")
    standby = instances.standby(primary)

    primary.crash()
    primary.start()
    assert primary.rows("SELECT number FROM kept") == [(1,)]

    standby.cut_off()
    primary.execute("INSERT INTO kept VALUES (2)")
    primary.stop()
    standby.promote()
    standby.execute("INSERT INTO kept VALUES (3)")
    assert standby.rows("SELECT number FROM kept ORDER BY number") == [(1,), (3,)]
