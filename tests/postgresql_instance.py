"""PostgreSQL servers that a test starts for itself, breaks as it likes, and that end with it.

From Debian's packages (`postgresql`), in a folder of their own below /tmp, on a free loopback port, never as root.
Whatever becomes of the process that started one, a guard ends it: a shell that waits for that process's end of a pipe.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Self

import asyncpg

from tests.end_to_end.running_server import free_port

PATIENCE: Final = 180.0
"""Seconds; only ever reached when something is broken."""
DATABASE: Final = "test"
_CONNECT_SECONDS: Final = 30
_MODES: Final = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_COMMON: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_wal_size": "64MB",
    "wal_level": "replica",
    "max_wal_senders": "5",
    "max_replication_slots": "5",
    "wal_retrieve_retry_interval": "100ms",
    "log_timezone": "UTC",
}
_NOT_DURABLE: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Ends quietly when it is told so. Where the other end of its standard input is closed, nobody is left to end the server
# and to remove its folder.
_GUARD: Final = """
read -r line && exit
kill -QUIT "$1" 2>/dev/null
kill -CONT "$1" 2>/dev/null
while kill -0 "$1" 2>/dev/null; do sleep 0.1; done
rm -rf "$2"
"""


def programs() -> Path | None:
    """Return the folder of the newest installed PostgreSQL's programs, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)
    if found is None and (elsewhere := shutil.which("initdb")) is not None:
        found = Path(elsewhere).parent
    return found


def is_possible() -> bool:
    """Say whether instances can be started here."""
    return programs() is not None


def unprivileged() -> dict[str, Any]:
    """Return what makes a child process run as somebody who is not root: PostgreSQL refuses to."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    somebody = names.get("postgres") or names["nobody"]
    return {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}


class PostgresqlInstance:
    """One server, with an empty database `test` in which everybody on this machine is `postgres`.

    Attributes:
        folder: where all of it lies.
        port: where it listens on loopback.
        settings: of its command line; a change counts from the next start on.
        url: of its database, as the store takes it.
    """

    def __init__(self, folder: Path, *, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.settings = {**_COMMON, **settings}
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/{DATABASE}"
        found = programs()
        assert found is not None, "PostgreSQL's programs are missing"
        self._programs = found
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def make(self, *options: str) -> Self:
        """Make its files; `options` are those of initdb."""
        self._run("initdb", "--pgdata", str(self.data), "--username=postgres", "--auth=trust", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1", *options)  # fmt: skip
        self.start()
        execute(f"CREATE DATABASE {DATABASE}", url=self.url.replace(f"/{DATABASE}", "/postgres"))
        return self

    def start(self, *, waits: bool = True) -> None:
        """Start it and wait until it answers. AssertionError with its log when it ends instead."""
        assert self._process is None, "it runs"
        options = [f"--{name}={value}" for name, value in {**self.settings, "port": str(self.port)}.items()]
        with self._log() as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *options],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **unprivileged(),
            )  # fmt: skip
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid), self.folder],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests
            )
        if waits:
            self.wait()

    def wait(self) -> None:
        """Wait until it takes connections."""
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while self._status() not in {"ready", "standby"}:
            assert self._process.poll() is None, f"PostgreSQL ended:\n{self.said()}"
            assert time.monotonic() < deadline, f"PostgreSQL did not start:\n{self.said()}"
            time.sleep(0.01)

    def stop(self, mode: str = "fast") -> None:
        """End it and wait for that; `mode` is `smart`, `fast` or `immediate`, as of pg_ctl."""
        self._end([], _MODES[mode])

    def crash(self) -> None:
        """End all of its processes by SIGKILL at once: nothing that they meant to write still is."""
        if self._process is None:
            return
        os.kill(self._process.pid, signal.SIGSTOP)  # so that it starts no more
        self._end(_children_of(self._process.pid), signal.SIGKILL)

    def freeze(self) -> None:
        """Stop all of its processes where they are, so that it neither answers nor refuses; `thaw` ends that."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    def restart(self, mode: str = "fast") -> None:
        """Stop and start it."""
        self.stop(mode)
        self.start()

    def configure(self, **settings: str) -> None:
        """Change settings of the running server, for transactions from now on."""
        changes = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()]
        execute(*changes, "SELECT pg_reload_conf()", url=self.url)

    def allow(self, *lines: str) -> None:
        """Replace who may connect: the lines of pg_hba.conf."""
        self.put("pg_hba.conf", "".join(f"{line}\n" for line in lines))
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def put(self, name: str, text: str) -> Path:
        """Write a file of the data folder that the server alone can read, such as a TLS key; return its path."""
        path = self.data / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        self._give(path)
        return path

    def give(self, path: Path) -> None:
        """Make a file or folder, and what lies in it, the server's own."""
        for each in (path, *path.rglob("*")):
            self._give(each)

    def move_log(self, folder: Path) -> None:
        """Put its write-ahead log into another folder, which does not exist yet; it is stopped."""
        own = self.data / "pg_wal"
        shutil.copytree(own, folder)
        self.give(folder)
        shutil.rmtree(own)
        own.symlink_to(folder)

    def said(self) -> str:
        """Return its log."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def execute(self, *statements: str) -> None:
        """Run statements in its database, one after the other."""
        execute(*statements, url=self.url)

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """Return the rows that a query finds in its database."""
        return rows_of(query, url=self.url)

    # Replication.

    def copy_to(self, standby: PostgresqlInstance) -> PostgresqlInstance:
        """Make `standby` a streaming copy of this server, known to it by its port; start and return it."""
        source = f"postgresql://postgres@127.0.0.1:{self.port}/postgres?application_name=standby_{standby.port}"
        standby._run("pg_basebackup", "--pgdata", str(standby.data), "--write-recovery-conf", "--checkpoint=fast",
                     "--no-sync", "--wal-method=stream", "--dbname", source)  # fmt: skip
        standby.start()
        return standby

    def promote(self) -> None:
        """Make a standby the primary."""
        (promoted,) = self.rows(f"SELECT pg_promote(true, {int(PATIENCE)})")
        assert promoted == (True,), self.said()

    def cut_off(self) -> None:
        """Have a standby receive nothing more: what the primary writes from now on is not here."""
        self.configure(primary_conninfo="")
        self.until("SELECT count(*) = 0 FROM pg_stat_wal_receiver")

    def until(self, query: str) -> None:
        """Wait until a query finds true."""
        deadline = time.monotonic() + PATIENCE
        while self.rows(query) != [(True,)]:
            assert time.monotonic() < deadline, f"never: {query}\n{self.said()}"
            time.sleep(0.01)

    # Processes and files.

    def _run(self, program: str, *arguments: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._give(self.folder)
        with self._log() as log:
            subprocess.run(
                [self._programs / program, *arguments],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=PATIENCE, check=False,
                **unprivileged(),
            )  # fmt: skip
        assert (self.data / "PG_VERSION").exists(), self.said()

    def _log(self) -> IO[bytes]:
        return (self.folder / "log").open("ab")

    def _give(self, path: Path) -> None:
        if account := unprivileged():
            os.chown(path, account["user"], account["group"])

    def _status(self) -> str:
        """Return what the server says of itself: the eighth line of its file, once it is there."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return ""
        is_ours = self._process is not None and lines[:1] == [str(self._process.pid)]
        return lines[7].strip() if is_ours and len(lines) > 7 else ""

    def _signal_all(self, which: signal.Signals) -> None:
        assert self._process is not None
        for pid in (self._process.pid, *_children_of(self._process.pid)):
            _signal(pid, which)

    def _end(self, children: Sequence[int], which: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        guard, self._guard = self._guard, None
        if guard is not None:  # before the number of the process may be another's
            guard.communicate(b"done\n", timeout=PATIENCE)
        for pid in children:
            _signal(pid, which)
        process.send_signal(which)
        try:
            process.wait(PATIENCE)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGQUIT)


@contextmanager
def postgresql_instances() -> Iterator[Instances]:
    """Give what makes instances; they all end, and their files go, with the block."""
    with ExitStack() as stack:
        yield Instances(stack)


class Instances:
    """Makes instances that end together."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def primary(self, *, is_durable: bool = True, folder: Path | None = None, **settings: str) -> PostgresqlInstance:
        """Return a running server of its own.

        Args:
            is_durable: whether a commit waits for the disk (`fsync`).
            folder: where it lies; an empty one below /tmp otherwise.
            settings: of PostgreSQL, by name.
        """
        given = {**({} if is_durable else _NOT_DURABLE), **settings}
        return self._ended(PostgresqlInstance(folder or self._folder(), settings=given)).make()

    def standby(self, primary: PostgresqlInstance, **settings: str) -> PostgresqlInstance:
        """Return a running server that follows `primary`."""
        given = {**primary.settings, **settings}
        return primary.copy_to(self._ended(PostgresqlInstance(self._folder(), settings=given)))

    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="gatepost-postgresql-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _ended(self, instance: PostgresqlInstance) -> PostgresqlInstance:
        self._stack.callback(instance.stop, "immediate")
        return instance


def _children_of(parent: int) -> list[int]:
    found = subprocess.run(
        ["/bin/ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def _signal(pid: int, which: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        os.kill(pid, which)


def execute(*statements: str, url: str) -> None:
    """Run statements at a database, one after the other."""

    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    run_apart(run())


def rows_of(query: str, *, url: str) -> Sequence[tuple[Any, ...]]:
    """Return the rows that a query finds at a database."""
    found: list[tuple[Any, ...]] = []

    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
        try:
            found.extend(tuple(row) for row in await connection.fetch(query))
        finally:
            await connection.close()

    run_apart(run())
    return found


@contextmanager
def connected(url: str) -> Iterator[Callable[[str], None]]:
    """Give what runs statements on one connection, which keeps its locks and transactions meanwhile."""
    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as thread:

        def run(work: Coroutine[Any, Any, Any]) -> Any:
            return thread.submit(loop.run_until_complete, work).result()

        connection = run(asyncpg.connect(url, timeout=_CONNECT_SECONDS))
        try:
            yield lambda statement: run(connection.execute(statement))
        finally:
            run(connection.close())
            loop.close()


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread: a fixture may be asked for where an event loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
