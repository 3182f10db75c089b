"""`gatepost serve --workers N`: one port, several processes, one of which may go at any time."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.end_to_end import local_http
from tests.end_to_end.conftest import OPEN
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import REPOSITORY, RunningServer, free_port
from tests.end_to_end.test_official_client_streams import text_of
from tests.end_to_end.test_processes import INITIALIZE, MODERN, messages_of
from tests.end_to_end.test_restarts import Generation

TARGET = "tests/end_to_end/worker_target.py:server"
HEADERS = {"Accept": "application/json, text/event-stream"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no workers there")


class Workers:
    """A server of several workers, known by the process ids in its log."""

    def __init__(self, folder: Path, *options: str, count: int = 2, **environment: str) -> None:
        self.folder = folder
        self.count = count
        self.server = RunningServer(
            TARGET,
            folder / "data",
            "--workers",
            str(count),
            *options,
            environment={**OPEN, "WORKER_FOLDER": str(folder), **environment},
        )

    @property
    def output(self) -> str:
        return self.server.output

    @property
    def parent(self) -> int:
        return int(self.said(r"workers serve, their parent is (\d+)")[0])

    @property
    def pids(self) -> list[int]:
        """Of the first workers."""
        return [int(pid) for pid in self.said(r"workers serve, .* pids=\"\[([\d, ]+)\]\"")[0].split(",")]

    def said(self, pattern: str, *, times: int = 1) -> list[str]:
        """Wait until the log has said something so often, and return what the pattern's group held."""
        deadline = time.monotonic() + PATIENCE
        while len(found := re.findall(pattern, self.output)) < times:
            assert time.monotonic() < deadline, f"{pattern} was not said:\n{self.output}"
            time.sleep(0.02)
        return found

    def post(self, tool: str, http: httpx2.Client | None = None, /, **arguments: Any) -> httpx2.Response:
        """Call a tool, over a new connection unless a client is given."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        send: Callable[..., httpx2.Response] = local_http.post if http is None else http.post
        return send(self.server.mcp_url, json=message, headers=HEADERS)

    def call(self, tool: str, http: httpx2.Client | None = None, /, **arguments: Any) -> str:
        """Call a tool and return its text."""
        return str(self.post(tool, http, **arguments).json()["result"]["content"][0]["text"])

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def __enter__(self) -> Self:
        self.server.start()
        assert len(self.pids) == self.count
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with Workers(tmp_path) as running:
        yield running


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Load:
    """Callers that go on until they are told to stop, with a connection each, and come again when one breaks."""

    def __init__(self, workers: Workers, callers: int = 4) -> None:
        self._workers, self._callers = workers, callers
        self._is_over = threading.Event()
        self.wrong: list[str] = []
        self.broken = 0
        self.answers: list[str] = []

    def _ask(self) -> None:
        http = local_http.client()
        while not self._is_over.is_set():
            try:
                answer = self._workers.post("process", http)
            except httpx2.TransportError:
                self.broken += 1
                http.close()
                http = local_http.client()
                continue
            if answer.status_code == 200:
                self.answers.append(answer.json()["result"]["content"][0]["text"])
            else:
                self.wrong.append(f"{answer.status_code} {answer.text}")
        http.close()

    def more(self, answers: int = 40) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers) + answers
        wait_until(lambda: len(self.answers) >= wanted, "no more answers came")

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._ask) for _ in range(self._callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()


MOST_CONNECTIONS = 100
"""By so many each worker has its share, however seldom a busy machine lets one of them run."""


def opened_until_each_has(share: int, connect: Callable[[], tuple[httpx2.Client, str]], pids: list[int]) -> None:
    """Open connections that stay, each of which says which worker it is at, until every worker has so many."""
    connections: list[httpx2.Client] = []
    served: list[str] = []
    while min(served.count(str(pid)) for pid in pids) < share:
        assert len(connections) < MOST_CONNECTIONS, served
        http, pid = connect()
        connections.append(http)
        served.append(pid)
    for http in connections:
        http.close()


def test_every_worker_gets_connections_and_set_up_is_offered_once(workers: Workers) -> None:
    def connect() -> tuple[httpx2.Client, str]:
        http = local_http.client()
        return http, workers.call("process", http).split()[0]

    opened_until_each_has(4, connect, workers.pids)
    assert workers.output.count("MCP URL") == 1


def test_a_worker_that_is_killed_under_load_is_replaced_and_the_other_one_serves_meanwhile(workers: Workers) -> None:
    with Load(workers) as load:
        load.more()
        os.kill(workers.pids[0], signal.SIGKILL)
        workers.said(rf"worker {workers.pids[0]} ended \(SIGKILL\); another one is started at once")
        load.more()
        connections: list[httpx2.Client] = []

        def is_served_by_two() -> bool:
            connections.append(local_http.client())
            return len({workers.call("process", http) for http in connections[-4:]}) == 2

        wait_until(is_served_by_two, "the new worker does not serve")
        for http in connections:
            http.close()
    assert load.wrong == []
    assert load.broken <= 4  # the connections that the killed one had
    assert str(workers.pids[0]) not in {answer.split()[0] for answer in load.answers[-20:]}


def test_workers_are_replaced_one_at_a_time_and_nobody_who_asks_again_loses_anything(workers: Workers) -> None:
    session = {**HEADERS}
    begun = local_http.post(
        workers.server.mcp_url,
        json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE},
        headers=session,
    )
    session["Mcp-Session-Id"] = begun.headers["mcp-session-id"]
    with Load(workers) as load:
        load.more()
        (workers.folder / "release").write_text("second", encoding="utf-8")
        os.kill(workers.parent, signal.SIGHUP)
        workers.said(r"2 of 2 workers were replaced")
        load.more()
    assert load.wrong == []
    assert {answer.split()[1] for answer in load.answers[-20:]} == {"second"}
    assert not {answer.split()[0] for answer in load.answers[-20:]} & {str(pid) for pid in workers.pids}
    for pid in workers.pids:
        assert is_gone(pid)
    pinged = local_http.post(
        workers.server.mcp_url, json={"jsonrpc": "2.0", "id": 2, "method": "ping"}, headers=session
    )
    assert (pinged.status_code, pinged.json()["result"]) == (200, {})
    # Each new one was ready before the old one of its place was told to go.
    assert workers.output.count("takes the place of worker") == 2
    assert workers.output.count("MCP URL") == 1


def test_connections_that_are_idle_in_a_replacement_are_not_reset(workers: Workers) -> None:
    """Those that break off under a request are none: the old worker answers what comes, and says that it closes."""
    with Load(workers, callers=2) as load:
        load.more()
        os.kill(workers.parent, signal.SIGHUP)
        workers.said(r"2 of 2 workers were replaced")
    assert (load.wrong, load.broken) == ([], 0)


async def test_a_call_of_the_official_client_that_is_under_way_finishes_at_the_old_worker(workers: Workers) -> None:
    async with Client(streamable_http_client(workers.server.mcp_url)) as client:
        calling = asyncio.create_task(client.call_tool("wait", {"name": "long"}))
        await asyncio.to_thread(workers.wait_for, "long-begun")
        os.kill(workers.parent, signal.SIGHUP)
        # One of the two is through; the other one waits for the call.
        await asyncio.to_thread(workers.said, r"takes the place of worker (\d+)")
        await asyncio.to_thread(workers.said, "waiting for a call")
        (workers.folder / "long-end").touch()
        answer = text_of(await calling)
        assert int(answer) in workers.pids
        await asyncio.to_thread(workers.said, r"2 of 2 workers were replaced")
        again = text_of(await client.call_tool("process", {})).split()[0]
        assert int(again) not in workers.pids


def test_a_subscription_at_an_old_worker_ends_in_good_order_and_begins_at_a_new_one(workers: Workers) -> None:
    listen = {
        "jsonrpc": "2.0",
        "id": "changes",
        "method": "subscriptions/listen",
        "params": {"_meta": MODERN, "notifications": {"toolsListChanged": True}},
    }
    headers = {**HEADERS, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    with local_http.stream("POST", workers.server.mcp_url, json=listen, headers=headers) as subscription:
        messages = messages_of(subscription)
        assert next(messages)["method"] == "notifications/subscriptions/acknowledged"
        os.kill(workers.parent, signal.SIGHUP)
        (last,) = list(messages)
        assert (last["id"], "result" in last) == ("changes", True)
    workers.said(r"2 of 2 workers were replaced")
    with local_http.stream("POST", workers.server.mcp_url, json=listen, headers=headers) as subscription:
        messages = messages_of(subscription)
        assert next(messages)["method"] == "notifications/subscriptions/acknowledged"
        workers.call("tell")
        assert next(messages)["method"] == "notifications/tools/list_changed"


def test_new_code_that_does_not_start_leaves_the_old_workers_where_they_are(workers: Workers) -> None:
    (workers.folder / "release").write_text("broken", encoding="utf-8")
    os.kill(workers.parent, signal.SIGHUP)
    workers.said(r"the new worker \d+ did not come up \(exit code 3\).*0 of 2 were replaced")
    assert {int(workers.call("process").split()[0]) for _ in range(8)} <= set(workers.pids)

    (workers.folder / "release").write_text("mended", encoding="utf-8")
    os.kill(workers.parent, signal.SIGHUP)
    workers.said(r"2 of 2 workers were replaced")
    assert workers.call("process").endswith("mended")


def test_a_stop_waits_for_calls_under_way_at_every_worker(workers: Workers) -> None:
    codes: list[int] = []
    stopping = threading.Thread(target=lambda: codes.append(workers.server.stop()))
    with ThreadPoolExecutor(MOST_CONNECTIONS) as pool:
        calls: list[Future[str]] = []
        at: set[str] = set()
        while len(at) < 2:
            name = f"call-{len(calls)}"
            calls.append(pool.submit(workers.call, "wait", name=name))
            workers.wait_for(f"{name}-begun")
            wait_until(lambda: (workers.folder / f"{name}-begun").read_text() != "", "it does not say where")  # noqa: B023 - called at once
            at.add((workers.folder / f"{name}-begun").read_text())
        stopping.start()
        workers.said(r"waiting for (?:a call|\d+ calls), at most 10 seconds", times=2)
        with pytest.raises(httpx2.ConnectError):
            local_http.get(f"{workers.server.origin}/health")
        for number in range(len(calls)):
            (workers.folder / f"call-{number}-end").touch()
        assert {int(call.result()) for call in calls} == set(workers.pids)
        stopping.join()
    assert codes == [0]
    assert all(map(is_gone, workers.pids))


def test_ctrl_c_is_a_clean_end_of_all(workers: Workers) -> None:
    assert workers.server.interrupt() == 0
    assert "Traceback" not in workers.output
    assert all(map(is_gone, workers.pids))


def test_a_second_ctrl_c_cuts_off_what_is_under_way(workers: Workers) -> None:
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(workers.post, "wait", name="one")
        workers.wait_for("one-begun")
        os.kill(workers.parent, signal.SIGINT)
        workers.said("Ctrl-C again ends it at once")
        assert workers.server.interrupt() == 0
        assert call.result().status_code == 503
    assert "stopping at once" in workers.output


def test_workers_do_not_outlive_a_parent_that_is_killed(workers: Workers) -> None:
    pids = workers.pids
    workers.server.kill()
    wait_until(lambda: all(map(is_gone, pids)), "a worker is left")
    socket.create_server(("127.0.0.1", workers.server.port)).close()


def test_a_worker_that_is_stuck_says_where_and_is_replaced(tmp_path: Path) -> None:
    with Workers(tmp_path, MCP_WORKER_TIMEOUT="8") as workers, ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(workers.post, "stick", seconds=PATIENCE)
        workers.wait_for("stuck")
        assert int(workers.call("process").split()[0]) in workers.pids  # the other one
        (pid,) = workers.said(r"worker (\d+) is ended: its event loop has not turned for 8 seconds")
        assert int(pid) in workers.pids
        workers.said(r"worker_target.py\", line \d+ in stick")
        workers.said(rf"worker {pid} ended \(SIGKILL\); another one is started")
        with pytest.raises(httpx2.TransportError):
            stuck.result()


def test_a_worker_that_is_stuck_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    with Workers(tmp_path, MCP_SHUTDOWN_SECONDS="0") as workers, ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(workers.post, "stick", seconds=PATIENCE)
        workers.wait_for("stuck")
        pids = workers.pids
        workers.server.kill()
        wait_until(lambda: all(map(is_gone, pids)), "a worker is left")
        with pytest.raises(httpx2.TransportError):
            stuck.result()


def test_workers_serve_at_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Workers(tmp_path, "--uds", str(path), "--public-url", "http://127.0.0.1:1") as workers:
        workers.server.mcp_url = "http://127.0.0.1:1/mcp"

        def connect() -> tuple[httpx2.Client, str]:
            http = local_http.client(transport=httpx2.HTTPTransport(uds=str(path)))
            return http, workers.call("process", http).split()[0]

        opened_until_each_has(2, connect, workers.pids)
    assert not path.exists()


def test_workers_serve_at_the_socket_of_a_service_manager_which_hears_of_each_state_once(tmp_path: Path) -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        server = Generation(
            tmp_path / "data", "--workers", "2", listener=listener, NOTIFY_SOCKET=str(tmp_path / "notify")
        )
        assert manager.recv(100) == b"READY=1"
        assert local_http.get(f"http://127.0.0.1:{port}/health").status_code == 200
        server.process.send_signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(100))
        assert manager.recv(100) == b"READY=1"
        assert server.stop() == 0
        manager.settimeout(0)
        with pytest.raises(BlockingIOError):
            manager.recv(100)


def started(tmp_path: Path, target: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gatepost", "serve", target, "--workers", "3", "--port", "0", *options],
        cwd=REPOSITORY,
        env={**os.environ, **OPEN, "OAUTH_STORAGE_DIR": str(tmp_path / "data"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MCP_STORAGE_URL", "memory:", "A store in memory (MCP_STORAGE_URL=memory:) is one process's own"),
        ("MCP_PUBLIC_URL", "http://mcp.example.com", "MCP_PUBLIC_URL must be https"),
        ("MCP_WORKERS", "many", "MCP_WORKERS takes how many processes serve, from 1 to 128."),
    ],
)
def test_what_is_wrong_in_the_settings_is_said_once(tmp_path: Path, variable: str, value: str, says: str) -> None:
    options = ("--workers", value) if variable == "MCP_WORKERS" else ()
    ended = started(tmp_path, TARGET, *options, **{variable: value, "MCP_SEALING_KEYS": "0123456789abcdef" * 3})
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"gatepost: {says}")


OTHER = """
from fastmcp import FastMCP

server = FastMCP("Others")
"""


def test_a_server_whose_sessions_live_in_one_process_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "others.py"
    target.write_text(OTHER, encoding="utf-8")
    ended = started(tmp_path, f"{target}:server")
    assert ended.returncode == 2
    assert "keeps sessions in the process where they began" in ended.stderr
    assert "stateless_http=True" in ended.stderr


def test_a_front_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "tests/end_to_end/sdk_stdio_server.py")]
    ended = subprocess.run(
        [sys.executable, "-m", "gatepost", "front", "--port", "0", "--", *command],
        cwd=REPOSITORY,
        env={**os.environ, **OPEN, "OAUTH_STORAGE_DIR": str(tmp_path / "data"), "MCP_WORKERS": "2"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 2
    assert "Sessions of what stands behind /mcp live in the process where they began" in ended.stderr


PROGRAM = """
import os
from gatepost import Server, run

server = Server("program")

@server.tool
def process() -> str:
    return f"{os.getpid()} program"

run(server, port=%d, workers=2)
print("ended", os.getpid(), flush=True)
"""


def test_a_program_that_serves_by_itself_has_workers_too(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "program.py").write_text(PROGRAM % port, encoding="utf-8")
    program = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, **OPEN, "OAUTH_STORAGE_DIR": str(tmp_path / "data")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr is not None
    while "workers serve" not in (line := program.stderr.readline()):
        assert line, "the program ended"
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "process", "arguments": {}}}
    pids: set[str] = set()
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            http = stack.enter_context(local_http.client())
            answer = http.post(f"http://127.0.0.1:{port}/mcp", json=message, headers=HEADERS).json()
            pids.add(json.dumps(answer["result"]["content"][0]["text"]))
            if len(pids) == 2:
                break
    assert len(pids) == 2
    program.terminate()
    with program:
        said, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0
    assert sorted(said.split()[1::2]) == sorted({*said.split()[1::2]})
    assert said.count("ended") == 3
    assert f"ended {program.pid}" in said


def test_a_server_stops_with_the_terminal_that_it_was_started_in(tmp_path: Path) -> None:
    """The system tells so by SIGHUP, which means something else when an operator sends it."""
    controller, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gatepost", "serve", TARGET, "--workers", "2", "--port", "0"],
        cwd=REPOSITORY,
        env={**os.environ, **OPEN, "OAUTH_STORAGE_DIR": str(tmp_path / "data"), "WORKER_FOLDER": str(tmp_path)},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no other thread runs here
    )
    os.close(terminal)
    said = ""
    while (found := re.search(r"workers serve, .* pids=\"\[([\d, ]+)\]\"", said)) is None:
        said += os.read(controller, 4096).decode()
    os.close(controller)
    process.wait(PATIENCE)
    for pid in found[1].split(","):
        assert is_gone(int(pid))
