"""Clients that work at a cluster without a pause, and ask again where something broke."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult

from tests.cluster.cluster import Cluster
from tests.end_to_end import local_http
from tests.end_to_end.scripted_client import App
from tools.npm_packages import NODE, node_environment

TOOLS = ("count", "count", "steps", "choose")


@dataclass
class Record:
    """What a worker was told.

    Attributes:
        done: the runs that were answered.
        faults: what went wrong while nothing was broken.
        asked_again: how often something went wrong while something was.
    """

    done: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    asked_again: int = 0

    def note_failure(self, cluster: Cluster, before: tuple[int, bool], error: object) -> None:
        """Note a failure of what began when the cluster was as `before`."""
        if cluster.state == before and not cluster.is_broken:
            self.faults.append(repr(error))
        else:
            self.asked_again += 1


class Worker(Protocol):
    """Works in a thread until it is stopped."""

    record: Record

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End, and wait for that."""


class Threaded:
    """A worker in a thread of its own; `_work` returns when `_over` is set."""

    def __init__(self, cluster: Cluster) -> None:
        self.record = Record()
        self._cluster = cluster
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(local_http.PATIENCE)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - for the test, which has not to wait for it then
            self.record.faults.append(f"a worker ended: {error!r}")

    def _work(self) -> None:
        raise NotImplementedError


class PythonClient(Threaded):
    """The official Python client with a token, in one era: calls, streams, and is asked."""

    def __init__(self, cluster: Cluster, token: str, mode: str) -> None:
        super().__init__(cluster)
        self._token, self._mode = token, mode

    def _work(self) -> None:
        asyncio.run(self._until_over())

    async def _until_over(self) -> None:
        while not self._over.is_set():
            before = self._cluster.state
            try:
                async with (
                    local_http.async_client(headers={"Authorization": f"Bearer {self._token}"}) as http,
                    Client(
                        streamable_http_client(self._cluster.mcp_url, http_client=http),
                        mode=self._mode,
                        elicitation_callback=choose_red,
                    ) as client,
                ):
                    while not self._over.is_set():
                        for tool in TOOLS:
                            before, run = self._cluster.state, uuid.uuid4().hex
                            async with asyncio.timeout(30):
                                result = await client.call_tool(tool, {"run": run}, progress_callback=ignore)
                            assert not result.is_error, result
                            self.record.done.append(run)
            except Exception as error:  # noqa: BLE001 - it is told apart by when it happened
                self.record.note_failure(self._cluster, before, error)
                await asyncio.sleep(0.05)  # as a client does before it asks again


async def choose_red(context: object, params: ElicitRequestParams) -> ElicitResult:
    del context, params
    return ElicitResult(action="accept", content={"colour": "red"})


async def ignore(progress: float, total: float | None, message: str | None) -> None:
    """Ask for progress, and do nothing with it."""
    del progress, total, message


class Refreshing(Threaded):
    """An app that refreshes its tokens, again with the same one where the answer was no answer."""

    def __init__(self, cluster: Cluster, app: App, tokens: dict[str, Any]) -> None:
        super().__init__(cluster)
        self._app, self.tokens = app, tokens

    def _work(self) -> None:
        while not self._over.is_set():
            before = self._cluster.state
            try:
                answer = self._app.refresh(self.tokens["refresh_token"])
            except httpx2.TransportError as error:
                self.record.note_failure(self._cluster, before, error)
                continue
            if answer.status_code == 200:
                self.tokens = answer.json()
                self.record.done.append("")
            elif answer.status_code >= 500:
                self.record.note_failure(self._cluster, before, answer.text)
            else:
                self.record.faults.append(f"a refresh was answered {answer.status_code}: {answer.text}")
                return


class TypeScriptClient(Threaded):
    """An official TypeScript client with a token, `v1` or `v2-modern`; a line of JSON for each thing that it does."""

    def __init__(self, cluster: Cluster, program: Path, token: str, which: str) -> None:
        super().__init__(cluster)
        command = [str(NODE), str(program), which, cluster.mcp_url, token]
        self._process = subprocess.Popen(
            command,
            cwd=program.parent,
            env=node_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _work(self) -> None:
        assert self._process.stdout is not None
        before = self._cluster.state
        for line in self._process.stdout:
            said = json.loads(line)
            if "begins" in said:
                before = self._cluster.state
            elif "done" in said:
                self.record.done.append(said["done"])
            else:
                self.record.note_failure(self._cluster, before, said["failed"])

    def stop(self) -> None:
        assert self._process.stdin is not None
        with self._process:  # which closes its ends, and waits
            self._process.stdin.close()
            super().stop()


@contextmanager
def working(workers: list[Worker]) -> Iterator[None]:
    """Have them work for the block."""
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()


def wait_for_more(cluster: Cluster, workers: list[Worker], pieces: int) -> None:
    """Wait until each worker has so many more answers."""
    wanted = {id(worker): len(worker.record.done) + pieces for worker in workers}

    def all_went_on() -> bool:
        assert [fault for worker in workers for fault in worker.record.faults] == []
        return all(len(worker.record.done) >= wanted[id(worker)] for worker in workers)

    wait: Callable[[Callable[[], bool]], None] = cluster.wait_for
    wait(all_went_on)
