"""kill -9 of the process that runs a task, of the one that is asked, and of both, and one that stands still (0094)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gatepost.extensions.tasks.settings import TASKS
from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.stores import postgresql_server

TARGET = "tests/faults/task_target.py:server"


class Servers:
    """Two servers over one store."""

    def __init__(self, folder: Path, storage: Mapping[str, str]) -> None:
        self.folder = folder
        environment = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false", "TASK_FOLDER": str(folder), **storage}
        self.first, self.second = (
            RunningServer(TARGET, folder / "data", environment=environment, is_measured=False) for _ in range(2)
        )

    def runs(self, what: str = "runs") -> list[str]:
        path = self.folder / what
        return path.read_text(encoding="utf-8").split() if path.exists() else []

    def until(self, name: str, times: int, *, what: str = "runs") -> None:
        """Wait until a task was begun, or cancelled (`left`), so often."""
        deadline = time.monotonic() + local_http.PATIENCE
        while self.runs(what).count(name) < times:
            assert time.monotonic() < deadline, self.runs(what)
            time.sleep(0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(request: pytest.FixtureRequest, tmp_path: Path, require_service: RequireService) -> Iterator[Servers]:
    with ExitStack() as stack:
        storage: dict[str, str] = {}
        if request.param == "postgresql":
            require_service("PostgreSQL", available=postgresql_server.is_there())
            storage["MCP_STORAGE_URL"] = stack.enter_context(postgresql_server.schema("faults_tasks"))
        servers = Servers(tmp_path, storage)
        for server in (servers.first, servers.second):
            stack.callback(server.kill)
            server.start()
        yield servers


def send(server: RunningServer, method: str, named: str, /, **params: Any) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}},
    }
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28"}
    answer = local_http.post(
        server.mcp_url,
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}},
        headers={**headers, "Mcp-Method": method, "Mcp-Name": named},
    )
    result: dict[str, Any] = answer.json()["result"]
    return result


def begin(server: RunningServer, tool: str, name: str) -> str:
    created = send(server, "tools/call", tool, name=tool, arguments={"name": name})
    return str(created["taskId"])


def ended(server: RunningServer, task_id: str) -> tuple[str, str]:
    """Return how a task ended, and what it says."""
    deadline = time.monotonic() + local_http.PATIENCE
    while True:
        task = send(server, "tasks/get", task_id, taskId=task_id)
        if task["status"] in {"completed", "failed"}:
            said = task["result"]["content"][0]["text"] if task["status"] == "completed" else task["statusMessage"]
            return task["status"], said
        assert time.monotonic() < deadline, task
        time.sleep(0.1)


def test_a_task_outlives_the_process_that_runs_it_the_one_that_is_asked_and_both(servers: Servers) -> None:
    first, second = servers.first, servers.second
    tasks = {name: begin(first, name.partition("-")[0], name) for name in ("again-1", "once-1")}
    for name in tasks:
        servers.until(name, 1)

    # The one that runs them: the other goes on with what can be run again.
    first.kill()
    assert ended(second, tasks["once-1"]) == ("failed", "The process that ran the task ended before it did.")
    servers.until("again-1", 2)

    # The one that is asked and runs nothing: nothing happens to the task.
    first.start()
    assert send(first, "tasks/get", tasks["again-1"], taskId=tasks["again-1"])["status"] == "working"
    first.kill()
    assert send(second, "tasks/get", tasks["again-1"], taskId=tasks["again-1"])["status"] == "working"

    # Both: it is run a third time once one of them is back, and no fourth time.
    second.kill()
    first.start()
    servers.until("again-1", 3)
    (servers.folder / "gate").touch()
    assert ended(first, tasks["again-1"]) == ("completed", "again-1 is done")
    assert servers.runs().count("again-1") == 3
    assert servers.runs().count("once-1") == 1


def test_a_process_that_stood_still_leaves_the_task_to_whoever_has_adopted_it(servers: Servers) -> None:
    first, second = servers.first, servers.second
    task_id = begin(first, "again", "again-1")
    servers.until("again-1", 1)
    first.send(signal.SIGSTOP)
    servers.until("again-1", 2)
    first.send(signal.SIGCONT)
    servers.until("again-1", 1, what="left")
    assert send(second, "tasks/get", task_id, taskId=task_id)["status"] == "working"
    (servers.folder / "gate").touch()
    assert ended(first, task_id) == ("completed", "again-1 is done")
    assert servers.runs().count("again-1") == 2
