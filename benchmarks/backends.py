"""One server on SQLite and on PostgreSQL, as one process, as workers, and as replicas: what a request costs.

`python -m benchmarks.backends` runs in the project's own environment and writes `BACKENDS.md` with its chart. Server
and load share the machine, so what counts is the processor time of the server for each request, not how many there were
a second. PostgreSQL is the server of `--postgresql`; each arrangement gets a schema of its own there.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import backends_report
from benchmarks.authorization import CLIENT_ID, code_form, refresh_form
from benchmarks.environments import CHECKOUT, ENVIRONMENTS, HERE
from benchmarks.growth import RESOURCE, SIZES, Growth, Purge, checked, purging
from benchmarks.load import ID_PLACEHOLDER, Load, LoadFailed, Plan, require_wrk, run_load
from benchmarks.machine import cpu_seconds, description, load_average, sync_seconds
from benchmarks.messages import MCP_PATH, Caller, Connection, Era, Request
from benchmarks.peers import SERVERS
from benchmarks.processes import ServerFailed, ServerProcess, free_port

_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_CODES_A_SECOND: Final = 2500
_CHAINS: Final = 128
_SESSIONS: Final = 32
_CHECKED: Final = 10_000
"""Tokens that take turns: by the time that one comes again, its check is forgotten."""
_FILL_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where the data is, and which processes serve it."""

    key: str
    title: str
    is_postgresql: bool
    replicas: int = 1
    workers: int = 1


ARRANGEMENTS: Final = (
    Arrangement("sqlite-1", "SQLite, one process", is_postgresql=False),
    Arrangement("sqlite-2", "SQLite, two workers", is_postgresql=False, workers=2),
    Arrangement("postgresql-1", "PostgreSQL, one process", is_postgresql=True),
    Arrangement("postgresql-2", "PostgreSQL, two workers", is_postgresql=True, workers=2),
    Arrangement("postgresql-3", "PostgreSQL, three replicas", is_postgresql=True, replicas=3),
)
SCENARIOS: Final = {
    "codes": "code exchange",
    "refresh": "refresh",
    "revoke": "revocation",
    "check": "tool call, token not seen lately",
    "modern": "tool call, token cached",
    "handshake": "tool call in a session (2025-11-25)",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one load came to."""

    load: Load
    server_microseconds: float
    """Processor time of all processes of the server for each request."""
    database_microseconds: float
    """Of PostgreSQL's processes; 0 for SQLite, which is in the server."""


@dataclass(slots=True)
class Results:
    """All that was measured."""

    started: datetime
    machine: str
    load_before: float
    sync_seconds: float
    postgresql: str
    seconds: float
    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)
    """By the keys of arrangement and scenario, one for each round."""
    failures: dict[str, str] = field(default_factory=dict)
    growth: Growth = field(default_factory=Growth)
    purges: list[Purge] = field(default_factory=list)


class Running:
    """An arrangement that is served."""

    def __init__(self, processes: Sequence[ServerProcess], port: int) -> None:
        self.processes = processes
        self.port = port

    def cost(self, plan: Plan, seconds: float) -> Cost:
        """Send a plan and return what it cost."""
        ours, theirs = self._pids(), postgresql_pids()
        before, database_before = sum(map(cpu_seconds, ours)), sum(map(cpu_seconds, theirs))
        load = run_load(plan, port=self.port, pid=self.processes[0].pid, seconds=seconds)
        spent = sum(map(cpu_seconds, ours)) - before
        # Backends come and go; of those that have gone the time is lost, which a pool that stays makes little.
        database = sum(map(cpu_seconds, {*theirs, *postgresql_pids()})) - database_before
        answers = load.answers
        return Cost(load, spent / answers * 1e6, max(0.0, database) / answers * 1e6)

    def _pids(self) -> list[int]:
        return [pid for process in self.processes for pid in family_of(process.pid)]


def family_of(pid: int) -> list[int]:
    """Return a process and its children, such as workers."""
    pids = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                pids += family_of(int(child))
    return pids


def postgresql_pids() -> set[int]:
    """Return the processes of PostgreSQL on this machine."""
    found = subprocess.run(["pgrep", "-x", "postgres"], capture_output=True, text=True, check=False)
    return {int(pid) for pid in found.stdout.split()}


@contextmanager
def place(arrangement: Arrangement, directory: Path, server: str) -> Iterator[str]:
    """Return the URL of an empty store."""
    if not arrangement.is_postgresql:
        yield f"sqlite:///{directory}/gatepost.db"
        return
    name = f"benchmark_{os.getpid()}_{arrangement.key.replace('-', '_')}"
    execute(server, f"DROP SCHEMA IF EXISTS {name} CASCADE", f"CREATE SCHEMA {name}")
    try:
        yield f"{server}?search_path={name}"
    finally:
        execute(server, f"DROP SCHEMA IF EXISTS {name} CASCADE")


def execute(server: str, *statements: str) -> list[Any]:
    """Run statements and return the first value of each."""
    import asyncpg  # noqa: PLC0415 - the driver is an extra

    async def run() -> list[Any]:
        connection = await asyncpg.connect(server)
        try:
            return [await connection.fetchval(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(run())


@contextmanager
def serving(arrangement: Arrangement, store: str, directory: Path, port: int) -> Iterator[Running]:
    """Serve an arrangement; replicas share the port, so that connections are spread among them."""
    environment = {
        "BENCHMARK_TOOLS": "0",
        "MCP_STORAGE_URL": store,
        "OAUTH_STORAGE_DIR": str(directory),
        "OAUTH_LIMIT_FACTOR": "1000",
        "PYTHONPATH": str(CHECKOUT / "src"),
    }
    command = [sys.executable, "-m", "gatepost", "serve", f"{SERVERS / 'gatepost_server.py'}:server", f"--port={port}"]
    if arrangement.workers > 1:
        command.append(f"--workers={arrangement.workers}")
    if arrangement.replicas > 1:
        environment["MCP_REUSE_PORT"] = "true"
    with ExitStack() as stack:
        processes = []
        for number in range(arrangement.replicas):
            process = ServerProcess(
                command, port=port, environment=environment, cwd=directory, is_alone=number == 0, is_pinned=False
            )
            processes.append(stack.enter_context(process))
            process.wait_until_listening()
        for process in processes:
            process.wait_until_printed(MCP_PATH)  # in the banner, once everything is open
        yield Running(processes, port)


def fill(store: str, resource: str, directory: Path, **wanted: int | bool) -> list[str]:
    """Fill a store by `servers/gatepost_store.py` and return what it prints."""
    options = [f"--{name}" if value is True else f"--{name}={value}" for name, value in wanted.items()]
    command = [sys.executable, str(SERVERS / "gatepost_store.py"), store, f"--resource={resource}", *options]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    with tempfile.TemporaryFile("w+", dir=directory) as printed:
        subprocess.run(command, stdout=printed, check=True, timeout=_FILL_SECONDS, env=environment)
        printed.seek(0)
        return printed.read().splitlines()


def measure(arrangement: Arrangement, store: str, directory: Path, seconds: float) -> dict[str, Cost]:
    """Return what each scenario costs."""
    port = free_port()
    resource = f"http://127.0.0.1:{port}{MCP_PATH}"
    codes = fill(store, resource, directory, codes=_CHAINS + round(_CODES_A_SECOND * seconds))
    tokens = fill(store, resource, directory, tokens=_CHECKED)
    costs: dict[str, Cost] = {}
    with serving(arrangement, store, directory, port) as running:
        callers = [Caller(token, Era.MODERN) for token in tokens]
        calls = [caller.call("add", ID_PLACEHOLDER, 1, 2) for caller in callers]
        with_sessions = _sessions(port, tokens[:_SESSIONS])
        plans: dict[str, Callable[[], Plan]] = {
            "codes": lambda: _form_plan("once", "/oauth/token", [code_form(code) for code in codes[_CHAINS:]]),
            "refresh": lambda: _refresh_plan(_redeemed(port, codes[:_CHAINS])),
            "check": lambda: _calls_plan(calls),
            "modern": lambda: _calls_plan(calls[:_SESSIONS]),
            "handshake": lambda: _calls_plan([each.call("add", ID_PLACEHOLDER, 1, 2) for each in with_sessions]),
            "revoke": lambda: _form_plan(
                "once", "/oauth/revoke", [_revocation(token) for token in tokens], marker=None
            ),
        }
        for key, plan_of in plans.items():
            costs[key] = running.cost(plan_of(), seconds)
    return costs


def _form_plan(kind: str, path: str, bodies: Sequence[bytes], *, marker: str | None = '"access_token"') -> Plan:
    return Plan(kind, path, [_FORM], bodies, marker=marker)


def _refresh_plan(tokens: Sequence[str]) -> Plan:
    before, after = refresh_form("TOKEN").decode().split("TOKEN")
    form = [_FORM]
    return Plan("refresh", "/oauth/token", form, marker='"access_token"', tokens=tokens, before=before, after=after)


def _calls_plan(requests: Sequence[Request]) -> Plan:
    bodies, headers = [request.body for request in requests], [request.headers for request in requests]
    return Plan("calls", MCP_PATH, headers, bodies, marker='"result"')


def _revocation(token: str) -> bytes:
    return f"token={token}&client_id={CLIENT_ID}".encode()


def _redeemed(port: int, codes: Sequence[str]) -> list[str]:
    """Redeem codes and return the refresh tokens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    tokens = []
    for code in codes:
        connection.request("POST", "/oauth/token", body=code_form(code), headers=_FORM)
        tokens.append(json.loads(connection.getresponse().read())["refresh_token"])
    connection.close()
    return tokens


def _sessions(port: int, tokens: Sequence[str]) -> list[Caller]:
    connection = Connection(port)
    try:
        return [connection.open_session(token) for token in tokens]
    finally:
        connection.close()


def main() -> int:
    """Measure what was chosen and write the report."""
    options = _options()
    try:
        require_wrk()
    except LoadFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    chosen = [one for one in ARRANGEMENTS if options.only is None or one.key in options.only]
    with tempfile.TemporaryDirectory(dir=_scratch()) as temporary:
        directory = Path(temporary)
        version = execute(options.postgresql, "SHOW server_version", "SHOW fsync", "SHOW synchronous_commit")
        results = Results(
            started=datetime.now(UTC),
            machine=description(),
            load_before=load_average(),
            sync_seconds=sync_seconds(directory),
            postgresql=f"{version[0]}, fsync {version[1]}, synchronous_commit {version[2]}",
            seconds=options.seconds,
        )
        for round_ in range(options.rounds):
            for arrangement in chosen[:: -1 if round_ % 2 else 1]:
                _once(arrangement, round_, directory, options, results)
        if "growth" not in options.without:
            _grow(results.growth, directory, options)
        if "purge" not in options.without:
            results.purges += [_purge(one, directory, options) for one in chosen if one.key.endswith("-1")]
    text = backends_report.markdown(results)
    sys.stdout.write(text)
    if not options.no_write:
        (HERE / "BACKENDS.md").write_text(text)
        (HERE / "backends.svg").write_text(backends_report.chart(results))
    return 0


def _scratch() -> Path:
    """Return a folder on this disk, which git leaves alone: an interrupted run leaves its stores behind."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    return ENVIRONMENTS


def _once(
    arrangement: Arrangement, round_: int, directory: Path, options: argparse.Namespace, results: Results
) -> None:
    own = directory / f"{arrangement.key}-{round_}"
    own.mkdir()
    began = time.monotonic()
    try:
        with place(arrangement, own, options.postgresql) as store:
            costs = measure(arrangement, store, own, options.seconds)
    except (LoadFailed, ServerFailed, OSError, subprocess.SubprocessError) as error:
        results.failures[arrangement.key] = str(error)
        say(f"{arrangement.title}: {error}")
        return
    for key, cost in costs.items():
        results.costs.setdefault((arrangement.key, key), []).append(cost)
    shown = ", ".join(f"{key} {cost.server_microseconds:.0f} µs" for key, cost in costs.items())
    say(f"round {round_ + 1}: {arrangement.title}: {shown} ({time.monotonic() - began:.0f} s)")


def _grow(found: Growth, directory: Path, options: argparse.Namespace) -> None:
    """Check tokens in ever larger stores, the backends in turn."""
    sizes = [size for size in SIZES if size <= options.most]
    with ExitStack() as stack:
        filled: list[tuple[Arrangement, int, str, list[str]]] = []
        for size in sizes:
            for arrangement in (ARRANGEMENTS[0], ARRANGEMENTS[2]):
                own = directory / f"growth-{arrangement.key}-{size}"
                own.mkdir()
                named = replace(arrangement, key=f"{arrangement.key}-{size}")
                store = stack.enter_context(place(named, own, options.postgresql))
                filled.append((arrangement, size, store, fill(store, RESOURCE, own, clones=size)))
                say(f"growth: {arrangement.title}: {size:,} grants are there")
        for _ in range(options.rounds):
            for arrangement, size, store, tokens in filled:
                check = checked(store, tokens)
                found.checks.setdefault((arrangement.key, size), []).append(check)
                say(f"growth: {arrangement.title}: {size:,} grants: {check.took:.0f} µs, ours {check.worked:.0f}")


def _purge(arrangement: Arrangement, directory: Path, options: argparse.Namespace) -> Purge:
    """Load a server, once by itself, and once while a million rows that are over are deleted."""
    own = directory / f"purge-{arrangement.key}"
    own.mkdir()
    port = free_port()
    resource = f"http://127.0.0.1:{port}{MCP_PATH}"
    with place(arrangement, own, options.postgresql) as store:
        fill(store, resource, own, clones=options.most, ended=True)
        codes = fill(store, resource, own, codes=2 * _CHAINS)
        with serving(arrangement, store, own, port) as running:
            plans = [_refresh_plan(_redeemed(port, codes[:_CHAINS])), _refresh_plan(_redeemed(port, codes[_CHAINS:]))]
            quiet = running.cost(plans[0], options.seconds)
            with purging(store, own) as purge:
                beside = running.cost(plans[1], options.seconds)
            found = Purge(arrangement.title, options.most, quiet.load, beside.load, purge.seconds, purge.was_running)
    say(f"purge: {found.title}: p99 {quiet.load.p99 / 1e3:.1f} ms, beside it {beside.load.p99 / 1e3:.1f} ms")
    return found


def say(line: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{line}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backends", description=__doc__)
    keys = [arrangement.key for arrangement in ARRANGEMENTS]
    server = os.environ.get("GATEPOST_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/test")
    parser.add_argument("--only", nargs="+", choices=keys, metavar="ARRANGEMENT", help=f"of {', '.join(keys)}")
    parser.add_argument("--without", nargs="+", choices=("growth", "purge"), default=(), help="leave out")
    parser.add_argument("--postgresql", default=server, metavar="URL", help=f"a server to make schemas in ({server})")
    parser.add_argument("--seconds", type=float, default=3, help="of each timed load (3)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (3)")
    parser.add_argument("--most", type=int, default=1_000_000, help="grants of the largest store (1,000,000)")
    parser.add_argument("--no-write", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
