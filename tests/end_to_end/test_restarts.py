"""A restart: the successor listens while the old server drains, and nobody is refused (docs/restarts.md)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.conftest import OPEN, TARGET
from tests.end_to_end.running_server import REPOSITORY, free_port

HEADERS = {"Accept": "application/json, text/event-stream"}
PATIENCE = 180

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are inherited another way there")


class Generation:
    """One run of `gatepost serve` that is given sockets as systemd gives them."""

    def __init__(
        self,
        data: Path,
        *options: str,
        listener: socket.socket | None = None,
        target: str = TARGET,
        **environment: str,
    ) -> None:
        command = [sys.executable, "-m", "gatepost", "serve", target, *options]
        if listener is not None:
            # What a service manager does between fork and exec: the socket as descriptor 3, and whom it is for.
            script = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"
            command = [sys.executable, "-c", script, *command]
            environment |= {"LISTEN_FDS": "1"}
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **OPEN, "OAUTH_STORAGE_DIR": str(data), **environment},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=None if listener is None else lambda: os.dup2(listener.fileno(), 3),  # noqa: PLW1509 - see above
            pass_fds=() if listener is None else (3,),
        )
        assert self.process.stderr is not None
        self.output = ""
        self._started = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._started.wait(PATIENCE)
        assert self.process.poll() is None, self.output

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                self.output += line
                if "Docs" in line:
                    self._started.set()
        self._started.set()

    def tell_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self) -> int:
        if self.process.poll() is None:
            self.tell_to_stop()
        return self.ended()


def call(http: httpx2.Client, name: str, **arguments: str) -> Any:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    return http.post("/mcp", json=message, headers=HEADERS).json()


Way = Callable[[], tuple[Generation, Callable[[], httpx2.Client]]]


@contextmanager
def way(name: str, tmp_path: Path) -> Iterator[Way]:
    """Return what starts the next generation of a server, and connects to whatever listens now."""
    generations: list[Generation] = []
    port, data = free_port(), tmp_path / "data"
    path = tmp_path / "s"
    with socket.create_server(("127.0.0.1", port)) if name == "activated" else socket.socket() as listener:

        def start() -> tuple[Generation, Callable[[], httpx2.Client]]:
            base_url = f"http://127.0.0.1:{port}"
            if name == "activated":
                generation = Generation(data, listener=listener)
            elif name == "reuse-port":
                generation = Generation(data, "--port", str(port), "--reuse-port")
            else:
                options = ("--uds", str(path), "--reuse-port", "--public-url", base_url)
                generation = Generation(data, *options)
            generations.append(generation)
            if name == "uds":
                return generation, lambda: local_http.client(
                    base_url=base_url, transport=httpx2.HTTPTransport(uds=str(path))
                )
            return generation, lambda: local_http.client(base_url=base_url)

        try:
            yield start
        finally:
            for generation in generations:
                generation.stop()


@pytest.mark.parametrize("name", ["activated", "reuse-port", "uds"])
def test_the_successor_answers_while_the_old_one_finishes_what_is_under_way(tmp_path: Path, name: str) -> None:
    with way(name, tmp_path) as start:
        old, connect = start()
        answers: list[Any] = []

        def wait() -> None:
            with connect() as http:
                answers.append(call(http, "wait", directory=str(tmp_path)))

        calling = threading.Thread(target=wait)
        calling.start()
        while not (tmp_path / "begun").exists():
            assert calling.is_alive()
        _new, _ = start()
        old.tell_to_stop()
        while "waiting for a call" not in old.output:
            assert old.process.poll() is None

        for _ in range(5):
            with connect() as http:
                assert http.get("/health").status_code == 200
        assert old.process.poll() is None
        (tmp_path / "end").touch()
        calling.join()
        assert old.ended() == 0
        assert answers[0]["result"]["content"][0]["text"] == "done"
        with connect() as http:
            assert http.get("/health").status_code == 200


@pytest.mark.parametrize("name", ["activated", "uds"])
def test_nobody_is_refused_in_a_restart_under_traffic(tmp_path: Path, name: str) -> None:
    """By fresh connections and by ones that are kept alive. `reuse-port` needs tcp_migrate_req for that."""
    with way(name, tmp_path) as start:
        old, connect = start()
        over = threading.Event()
        failures: list[Exception | Any] = []
        counts = [0, 0]

        def ask(number: int) -> None:
            kept = connect()
            while not over.is_set():
                if number:
                    kept.close()
                    kept = connect()
                try:
                    answer = call(kept, "whoami")
                    if "result" not in answer:
                        failures.append(answer)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
                    failures.append(error)
                counts[number] += 1
            kept.close()

        asking = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for thread in asking:
            thread.start()
        start()
        old.tell_to_stop()
        assert old.ended() == 0
        before = tuple(counts)
        while min(now - then for now, then in zip(counts, before, strict=True)) < 20:
            assert not failures
        over.set()
        for thread in asking:
            thread.join()
        assert failures == []


def test_nobody_is_refused_behind_nginx_at_a_unix_socket(tmp_path: Path, require_service: RequireService) -> None:
    """With the configuration of deploy/proxies, and the address that docs/restarts.md puts in its place."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    require_service("nginx", available=nginx is not None)
    assert nginx is not None
    port, path = free_port(), tmp_path / "s"
    page = (REPOSITORY / "docs" / "restarts.md").read_text(encoding="utf-8")
    (address,) = (line.strip() for line in page.splitlines() if line.strip().startswith("proxy_pass "))
    site = (REPOSITORY / "deploy" / "proxies" / "nginx.conf").read_text(encoding="utf-8")
    site = site.replace("proxy_pass http://127.0.0.1:8000;", address.replace("/run/gatepost/http.sock", str(path)))
    site = site.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {folders}\n{site} }}",
        encoding="utf-8",
    )
    with way("uds", tmp_path) as start:
        old, _ = start()
        command = [nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        proxy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with local_http.client(base_url=f"http://127.0.0.1:{port}") as http:
                while not answers(http):
                    assert proxy.poll() is None
                start()
                old.tell_to_stop()
                statuses = set()
                while old.process.poll() is None:
                    statuses.add(http.get("/health").status_code)
                statuses.add(http.get("/health").status_code)
                assert statuses == {200}
        finally:
            proxy.terminate()
            proxy.wait(PATIENCE)


def answers(http: httpx2.Client) -> bool:
    try:
        http.get("/health")
    except httpx2.ConnectError:
        return False
    return True


def test_a_unix_socket_is_the_groups_and_goes_with_its_server_only(tmp_path: Path) -> None:
    with way("uds", tmp_path) as start:
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        old, _connect = start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        new, connect = start()
        assert old.stop() == 0
        with connect() as http:
            assert http.get("/health").status_code == 200
        assert new.stop() == 0
        assert list(tmp_path.glob("*s")) == []


def test_a_service_manager_is_told_when_the_server_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        port = free_port()
        server = Generation(tmp_path / "data", "--port", str(port), NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(100) == b"READY=1"
        assert local_http.get(f"http://127.0.0.1:{port}/health").status_code == 200
        assert server.stop() == 0


def refused(tmp_path: Path, *options: str, **environment: str) -> str:
    started = subprocess.run(
        [sys.executable, "-m", "gatepost", "serve", TARGET, *options],
        cwd=REPOSITORY,
        env={**os.environ, **OPEN, "OAUTH_STORAGE_DIR": str(tmp_path / "data"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert started.returncode == 2
    assert "Traceback" not in started.stderr
    return started.stderr


def test_what_cannot_be_listened_on_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "s"
    public = ("--public-url", "http://localhost:8000")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert "is another server's, which listens there" in refused(tmp_path, "--uds", str(path), *public)
        assert path.is_socket()
    path.unlink()
    path.write_text("a file")
    assert "is there and no socket" in refused(tmp_path, "--uds", str(path), *public)
    assert path.read_text() == "a file"
    assert "set MCP_PUBLIC_URL" in refused(tmp_path, "--uds", str(tmp_path / "new"))
    assert "at most 103 bytes" in refused(tmp_path, "--uds", str(tmp_path / ("x" * 200)), *public)
    assert "cannot be listened on" in refused(tmp_path, "--uds", "/proc/s", *public)
    assert "MCP_FD names the file descriptor 0" in refused(tmp_path, "--fd", "0")


def test_an_address_that_a_service_manager_listens_on_is_judged_like_ones_own(tmp_path: Path) -> None:
    """A socket on all interfaces makes the server public, whatever MCP_HOST says."""
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.set_inheritable(True)
        started = subprocess.run(
            [sys.executable, "-m", "gatepost", "serve", TARGET, "--fd", str(listener.fileno())],
            cwd=REPOSITORY,
            env={**os.environ, **OPEN, "OAUTH_STORAGE_DIR": str(tmp_path / "data")},
            pass_fds=(listener.fileno(),),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert started.returncode == 2
    assert "MCP_PUBLIC_URL must say" in started.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not there")
def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    units = REPOSITORY / "deploy" / "systemd"
    for unit in units.iterdir():
        text = unit.read_text(encoding="utf-8").replace("/srv/notes/.venv/bin/gatepost", sys.executable)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    names = [str(tmp_path / unit.name.replace("@", "@a")) for unit in units.iterdir()]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


SLOW = '''
import asyncio, pathlib, time
from gatepost import Server

server = Server("Slow")

@server.tool
async def waiting(directory: str) -> str:
    """Wait, without keeping anybody else from running."""
    pathlib.Path(directory, "begun").touch()
    try:
        await asyncio.sleep(600)
    finally:
        pathlib.Path(directory, "cleaned-up").touch()
    return "done"

@server.tool
def blocking(directory: str) -> str:
    """Keep a thread for long."""
    pathlib.Path(directory, "begun").touch()
    time.sleep(600)
    return "done"
'''


@pytest.mark.parametrize(("tool", "code"), [("waiting", 0), ("blocking", 130)])
def test_ctrl_c_says_what_it_waits_for_and_a_second_one_ends_it_without_a_traceback(
    tmp_path: Path, tool: str, code: int
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    port = free_port()
    server = Generation(
        tmp_path / "data", "--port", str(port), target=str(tmp_path / "slow.py"), MCP_SHUTDOWN_SECONDS="600"
    )
    answers: list[Any] = []

    def ask() -> None:
        with local_http.client(base_url=f"http://127.0.0.1:{port}") as http:
            answers.append(call(http, tool, directory=str(tmp_path)))

    calling = threading.Thread(target=ask)
    calling.start()
    while not (tmp_path / "begun").exists():
        assert calling.is_alive()
    server.process.send_signal(signal.SIGINT)
    while "waiting for a call, at most 600 seconds (MCP_SHUTDOWN_SECONDS); Ctrl-C again" not in server.output:
        assert server.process.poll() is None
    server.process.send_signal(signal.SIGINT)

    assert server.ended() == code
    calling.join()
    assert "Traceback" not in server.output
    assert "shutting down" in answers[0]["error"]["message"]
    assert (tmp_path / "cleaned-up").exists() is (tool == "waiting")
