"""What extensions of the protocol cost whoever uses none, tasks per second, and tokens that are bound to a key.

`python -m benchmarks.extensions` runs this alone.
"""

from __future__ import annotations

import http.client
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.comparisons import FAILURES, Comparison, Contender, Promise, in_turns
from benchmarks.environments import FASTMCP_TASKS, GATEPOST
from benchmarks.fronts import served
from benchmarks.load import FEW_CONNECTIONS, ID_PLACEHOLDER, Load, Plan, run_load
from benchmarks.messages import MCP_PATH, META, Caller, Connection, Era, Request, WrongAnswer, common_headers
from benchmarks.peers import SERVERS, fill_store
from benchmarks.processes import ServerProcess, free_port

_SKILL: Final = "---\nname: adding\ndescription: Adds numbers.\n---\n\nAdd them.\n"
_TASKS: Final = "io.modelcontextprotocol/tasks"
_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
_WAITING: Final = 64
"""Tasks that have begun and whose result was not fetched yet."""
_PROOFS_A_SECOND: Final = 4_000
"""How many are prepared for each second of load; when they run out, the run is over early."""
_MOST_PROOFS: Final = 12_000
_MINT_SECONDS: Final = 60
_MOST_FETCHES: Final = 1000


def measure(
    *, rounds: int, seconds: float, directory: Path, until: float, say: Callable[[str], None]
) -> list[Comparison]:
    """Measure all three."""
    found = []
    for prepare in (_unused, _tasks, _bound):
        comparison, contenders_of = prepare()
        own = directory / f"extensions-{prepare.__name__}"
        own.mkdir()
        try:
            with ExitStack() as stack:
                contenders = contenders_of(stack, own)
                in_turns(comparison, contenders, rounds=rounds, seconds=seconds, until=until, say=say)
        except FAILURES as error:
            comparison.failed("all", error, say)
        found.append(comparison)
    return found


ContendersOf = Callable[[ExitStack, Path], list[Contender]]


def _unused() -> tuple[Comparison, ContendersOf]:
    promise = Promise("extended", "plain", 0.98, "a call at a server with all extensions", "× without any")
    note = (
        "A call of a plain tool, modern era: at a server without extensions, and at one with tasks, an app, a folder "
        "of skills and an extension of its author's, none of which the call has to do with."
    )
    comparison = Comparison("Extensions that a call does not use", "plain", note, [promise])

    def contenders(stack: ExitStack, own: Path) -> list[Contender]:
        skill = own / "skills" / "adding" / "SKILL.md"
        skill.parent.mkdir(parents=True)
        skill.write_text(_SKILL)
        return [
            Contender(key, title, served(stack, *_gatepost(own / key, server, skills=skill.parents[1])).measure)
            for key, title, server in (
                ("plain", "without extensions", "gatepost_server.py"),
                ("extended", "with all extensions", "gatepost_extensions.py"),
            )
        ]

    return comparison, contenders


def _gatepost(own: Path, server: str, *, skills: Path) -> tuple[ServerProcess, Caller]:
    own.mkdir()
    port = free_port()
    (token,) = fill_store(own, resource=f"http://127.0.0.1:{port}{MCP_PATH}", tokens=1)
    command = [GATEPOST.python, "-m", "gatepost", "serve", f"{SERVERS / server}:server", f"--port={port}"]
    environment = {
        "BENCHMARK_TOOLS": "0",
        "BENCHMARK_SKILLS": str(skills),
        "OAUTH_STORAGE_DIR": str(own),
        # Far more than anybody has: what is kept for minutes must not refuse what is timed.
        "MCP_TASKS_PER_USER": "100000",
    }
    return ServerProcess(command, port=port, environment=environment, cwd=own), Caller(token, Era.MODERN)


def _tasks() -> tuple[Comparison, ContendersOf]:
    promise = Promise("gatepost", "fastmcp", 3, "tasks begun and fetched, durable", "× FastMCP's in memory")
    note = (
        f"A call that is answered with a task, and `tasks/get` until it has the result; {_WAITING} tasks wait at a "
        "time, and a server is started anew for each round. Gatepost syncs each task to disk before it answers, and "
        "its result before anybody gets it; FastMCP (`fastmcp-tasks`) keeps them in memory and loses them at the end."
    )
    comparison = Comparison("Tasks", "fastmcp", note, [promise])

    def contenders(_stack: ExitStack, own: Path) -> list[Contender]:
        return [
            Contender("fastmcp", "FastMCP, in memory", partial(_tasks_once, _fastmcp_tasks, own)),
            Contender("gatepost", "Gatepost, durable (SQLite)", partial(_tasks_once, _gatepost_tasks, own)),
        ]

    return comparison, contenders


def _fastmcp_tasks(own: Path) -> tuple[ServerProcess, Caller]:
    port, token = free_port(), f"benchmark-{secrets.token_urlsafe(32)}"
    command = [FASTMCP_TASKS.python, str(SERVERS / "tasks_fastmcp.py"), str(port)]
    process = ServerProcess(command, port=port, environment={"BENCHMARK_TOKEN": token}, cwd=own)
    return process, Caller(token, Era.MODERN)


def _gatepost_tasks(own: Path) -> tuple[ServerProcess, Caller]:
    skill = own / "skills" / "adding" / "SKILL.md"
    skill.parent.mkdir(parents=True, exist_ok=True)
    skill.write_text(_SKILL)
    return _gatepost(own / f"tasks-{secrets.token_hex(4)}", "gatepost_extensions.py", skills=skill.parents[1])


def _tasks_once(start: Callable[[Path], tuple[ServerProcess, Caller]], own: Path, seconds: float) -> Load:
    process, caller = start(own)
    with process:
        process.wait_until_listening()
        begin, fetch = _begin(caller, ID_PLACEHOLDER, 3, 4), _fetch(caller, "ID")
        _check_one(process.port, caller)
        before, after = fetch.body.decode().split("ID")
        plan = Plan(
            "tasks",
            MCP_PATH,
            [begin.headers, fetch.headers],
            [begin.body],
            connections=FEW_CONNECTIONS,
            before=before,
            after=after,
            waiting=_WAITING,
        )
        run_load(plan, port=process.port, pid=process.pid, seconds=1)
        return run_load(plan, port=process.port, pid=process.pid, seconds=seconds)


def _check_one(port: int, caller: Caller) -> None:
    """Go through one task, and look at every answer; raises WrongAnswer."""
    connection = Connection(port)
    try:
        created = connection.check(_begin(caller, 7, 20, 22))
        if created.get("resultType") != "task":
            raise WrongAnswer(f"no task: {created}")
        for _ in range(_MOST_FETCHES):
            task = connection.check(_fetch(caller, created["taskId"]))
            if task["status"] == "completed":
                if "42" not in task["result"]["content"][0]["text"]:
                    raise WrongAnswer(f"not 42: {task}")
                return
        raise WrongAnswer(f"it has not ended: {task}")
    finally:
        connection.close()


def _begin(caller: Caller, id_: int, a: int, b: int) -> Request:
    return _request(caller, "tools/call", {"name": "add_later", "arguments": {"a": a, "b": b}}, id_, named="add_later")


def _fetch(caller: Caller, task_id: str) -> Request:
    return _request(caller, "tasks/get", {"taskId": task_id}, 8, named=task_id)


def _request(caller: Caller, method: str, params: Mapping[str, Any], id_: int, *, named: str) -> Request:
    meta = {**META, _CAPABILITIES: {"extensions": {_TASKS: {}}}}
    headers = {**common_headers(caller.token), "MCP-Protocol-Version": Era.MODERN.value}
    message = {"jsonrpc": "2.0", "id": id_, "method": method, "params": {**params, "_meta": meta}}
    body = json.dumps(message, separators=(",", ":")).encode()
    return Request({**headers, "Mcp-Method": method, "Mcp-Name": named}, body, id_)


def _bound() -> tuple[Comparison, ContendersOf]:
    promise = Promise("bound", "bearer", 0.8, "a call with a token that is bound to a key", "× the bearer token's")
    note = (
        "One server, one tool, modern era. Each call with the bound token brings a proof (ES256) that was never used "
        "before (RFC 9449); tokens and the key were seen a moment ago. The same number of calls for both, at most "
        f"{_MOST_PROOFS:,} a run."
    )
    comparison = Comparison("Token bound to a key (DPoP)", "bearer", note, [promise])

    def contenders(stack: ExitStack, own: Path) -> list[Contender]:
        port = free_port()
        resource = f"http://127.0.0.1:{port}{MCP_PATH}"
        (bearer,) = fill_store(own, resource=resource, tokens=1)
        proofs = _Proofs(own / "key.json", resource)
        bound = proofs.token(own / "gatepost.db")
        command = [GATEPOST.python, "-m", "gatepost", "serve", f"{SERVERS / 'gatepost_server.py'}:server"]
        environment = {"BENCHMARK_TOOLS": "0", "OAUTH_STORAGE_DIR": str(own)}
        process = ServerProcess([*command, f"--port={port}"], port=port, environment=environment, cwd=own)
        stack.enter_context(process)
        process.wait_until_listening()

        def load(token: str, seconds: float, *, is_bound: bool) -> Load:
            count = min(_MOST_PROOFS, round(_PROOFS_A_SECOND * seconds))
            call = Caller(token, Era.MODERN).call("add", 7, 3, 4)
            headers = [dict(call.headers)]
            if is_bound:
                own_headers = {**call.headers, "Authorization": f"DPoP {token}"}
                (without,) = proofs.make(token, "none", 1)
                nonce = _nonce(port, Request({**own_headers, "DPoP": without}, call.body, call.id))
                headers = [{**own_headers, "DPoP": proof} for proof in proofs.make(token, nonce, count)]
            plan = Plan("once", MCP_PATH, headers, [call.body] * count, marker='"result"', connections=FEW_CONNECTIONS)
            return run_load(plan, port=port, pid=process.pid, seconds=seconds)

        both = (("bearer", "bearer token", bearer), ("bound", "token bound to a key", bound))
        for key, _, token in both:
            load(token, 1, is_bound=key == "bound")
        return [Contender(key, title, partial(load, token, is_bound=key == "bound")) for key, title, token in both]

    return comparison, contenders


def _nonce(port: int, request: Request) -> str:
    """Return the nonce that a server asks for; raises WrongAnswer: it takes a proof without one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_MINT_SECONDS)
    try:
        connection.request("POST", MCP_PATH, body=request.body, headers=dict(request.headers))
        answer = connection.getresponse()
        nonce = answer.getheader("DPoP-Nonce")
        if answer.status != http.client.UNAUTHORIZED or nonce is None:
            raise WrongAnswer(f"no nonce was asked for: status {answer.status}")
        return nonce
    finally:
        connection.close()


class _Proofs:
    """Those of one key."""

    def __init__(self, key: Path, resource: str) -> None:
        self._script = [GATEPOST.python, str(SERVERS / "gatepost_proofs.py")]
        self._key, self._resource = str(key), resource

    def token(self, database: Path) -> str:
        """Make the key, and return a token that is bound to it."""
        return self._said("token", str(database), self._resource, self._key)

    def make(self, token: str, nonce: str, count: int) -> list[str]:
        """Return proofs for so many calls."""
        return self._said("proofs", self._resource, self._key, token, nonce, str(count)).split()

    def _said(self, *arguments: str) -> str:
        command = [*self._script, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_MINT_SECONDS).stdout


if __name__ == "__main__":
    from benchmarks.__main__ import main

    sys.exit(main(["--only", "extensions", *sys.argv[1:]]))
