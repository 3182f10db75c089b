"""Where the torture takes place: a server, its store, and what can be done to them."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.faults.small_file_system import is_possible as small_disks_are_possible
from tests.faults.small_file_system import small_file_system
from tests.faults.wire import Wire
from tests.postgresql_instance import postgresql_instances

TARGET = "tests/end_to_end/sample_server.py:server"
_MESSAGES = 40  # one of so many that the server sends next is where a connection is cut
_SETTINGS = {"OAUTH_LIMIT_FACTOR": "0"}


class Stage:
    """A server over a store.

    Attributes:
        server: runs.
        place: the URL of its store.
        faults: what is done, by the name under which the page tells of it. Each returns when what it broke is back.
    """

    def __init__(self, server: RunningServer, place: str, faults: Mapping[str, Callable[[], None]]) -> None:
        self.server, self.place, self.faults = server, place, faults

    def seconds_until_ready(self) -> float:
        """Wait until the server can do its work, and return how long that took."""
        began = time.monotonic()
        with local_http.client(base_url=self.server.origin) as http:
            while not http.get("/healthz").is_success:
                if time.monotonic() - began > local_http.PATIENCE:
                    raise TimeoutError("the server does not recover")
        return time.monotonic() - began


@contextmanager
def sqlite(folder: Path, chance: random.Random) -> Iterator[Stage]:
    """A server over a file, on a small disk of its own where one can be made."""
    del chance
    with ExitStack() as stack:
        disk = stack.enter_context(small_file_system(256)) if small_disks_are_possible() else None
        data = (disk.folder if disk else folder) / "data"
        server = RunningServer(TARGET, data, environment=_SETTINGS, is_measured=False)

        def kill() -> None:
            server.kill()
            server.start()

        def lock() -> None:
            with closing(sqlite3.connect(data / "gatepost.db", isolation_level=None, timeout=60)) as other:
                other.execute("BEGIN IMMEDIATE")
                time.sleep(2)
                other.execute("ROLLBACK")

        faults = {"server killed (-9)": kill, "file locked for 2 s": lock}
        if disk is not None:

            def fill() -> None:
                disk.fill()
                time.sleep(2)
                disk.free()

            faults["disk full for 2 s"] = fill
        stack.enter_context(server)
        yield Stage(server, f"sqlite:///{data}/gatepost.db", faults)


class _Pair:
    """A primary with a synchronous standby, which change places at each failover."""

    def __init__(self, stack: ExitStack) -> None:
        self._instances = stack.enter_context(postgresql_instances())
        self.primary = self._instances.primary()
        self.wire = stack.enter_context(Wire(self.primary.port))
        self._follow()

    def _follow(self) -> None:
        """Give the primary a standby for which its commits wait."""
        self.standby = self._instances.standby(self.primary)
        self.primary.configure(synchronous_standby_names=f"standby_{self.standby.port}")
        self.primary.until(
            "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"
        )

    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.wire.port}/test"

    def fail_over(self) -> None:
        self.primary.crash()
        self.standby.execute("SELECT 1")
        self.standby.promote()
        self.wire.target_port = self.standby.port
        self.wire.cut_all()
        self.primary = self.standby
        self.primary.execute("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        self._follow()

    def crash(self) -> None:
        self.primary.crash()
        self.primary.start()

    def restart(self) -> None:
        self.primary.restart()

    def freeze(self) -> None:
        self.primary.freeze()
        time.sleep(2)
        self.primary.thaw()


@contextmanager
def postgresql(folder: Path, chance: random.Random) -> Iterator[Stage]:
    """A server over PostgreSQL with a standby, and a proxy between."""
    with ExitStack() as stack:
        pair = _Pair(stack)
        environment = {**_SETTINGS, "MCP_STORAGE_URL": pair.url()}
        server = RunningServer(TARGET, folder / "data", environment=environment, is_measured=False)

        def kill() -> None:
            server.kill()
            server.start()

        def cut() -> None:
            pair.wire.arm(chance.randint(1, _MESSAGES), lets_through=chance.choice((False, True)))
            pair.wire.was_cut.wait(5)
            pair.wire.disarm()

        stack.enter_context(server)
        faults = {
            "server killed (-9)": kill,
            "connection cut at a message": cut,
            "database killed (-9)": pair.crash,
            "database restarted": pair.restart,
            "database silent for 2 s": pair.freeze,
            "failover to the standby": pair.fail_over,
        }
        yield Stage(server, pair.url(), faults)


STAGES: Mapping[str, Callable[[Path, random.Random], AbstractContextManager[Stage]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
}
