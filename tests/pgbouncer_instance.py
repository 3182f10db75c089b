"""PgBouncer in transaction mode, started by a test in front of a PostgreSQL server, and ended by its process id.

From Debian's package `pgbouncer`, or the program that GATEPOST_TEST_PGBOUNCER names.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.end_to_end.running_server import free_port
from tests.postgresql_instance import unprivileged

PATIENCE: Final = 60.0
"""Seconds; only ever reached when something is broken."""
POOL_SIZE: Final = 3
"""Connections to the server: fewer than there are clients, so that each takes turns on all of them."""
_KEEPS_STATEMENTS: Final = (1, 21)


def program() -> str | None:
    """Return where PgBouncer is, or None."""
    return os.environ.get("GATEPOST_TEST_PGBOUNCER") or shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin")


@dataclass(frozen=True, slots=True)
class Pgbouncer:
    """A running one."""

    url: str
    """Of the database behind it, as the store takes it."""
    keeps_statements: bool
    """Whether it keeps prepared statements."""


@contextmanager
def pgbouncer(server: str, *, role: str) -> Iterator[Pgbouncer]:
    """Run one in front of the database with this URL; whoever comes is `role` there."""
    found = program()
    assert found is not None, "PgBouncer is missing"
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"(\d+)\.(\d+)", said)
    assert version is not None, said
    keeps_statements = (int(version[1]), int(version[2])) >= _KEEPS_STATEMENTS
    parts, port = urlsplit(server), free_port()
    database = parts.path.removeprefix("/")
    folder = Path(tempfile.mkdtemp(prefix="gatepost-pgbouncer-"))
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": str(POOL_SIZE),
        "max_client_conn": "500",
        "logfile": "",
        **({"max_prepared_statements": "200"} if keeps_statements else {}),
    }
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items() if value)
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{database} = host={parts.hostname} port={parts.port or 5432} dbname={database} user={role}\n"
        f"[pgbouncer]\n{lines}unix_socket_dir =\n",
        encoding="utf-8",
    )
    folder.chmod(0o755)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [found, str(folder / "pgbouncer.ini")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **unprivileged(),
        )
    try:
        _wait(process, port, folder / "log")
        yield Pgbouncer(f"postgresql://{role}@127.0.0.1:{port}/{database}", keeps_statements)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        shutil.rmtree(folder)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until it takes connections."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            said = log.read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, f"PgBouncer ended:\n{said}"
            assert time.monotonic() < deadline, f"PgBouncer did not start:\n{said}"
            time.sleep(0.01)
        else:
            return
