"""A real `gatepost dev` in a folder of a test's own, whose code the test writes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Self

import httpx2

from tests.end_to_end import local_http
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import free_port

HEADERS = {"Accept": "application/json, text/event-stream"}
CODE = '''
import asyncio, os
from gatepost import Context, Server

server = Server("garden", title="Garden", scopes={{"plants:read": "Look at plants", "plants:write": "Plant"}})

@server.tool(scopes=["plants:read"], annotations={{"readOnlyHint": True}})
async def version() -> str:
    """Say which code this is."""
    return "{version} " + str(os.getpid())
'''


def wait_until(is_so: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


class DevServer:
    """One run of `gatepost dev`."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        target: str = "garden:server",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._target = target
        self.folder = folder
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.mcp_url = f"{self.origin}/mcp"
        self.output = ""
        self._options = options
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._page: httpx2.Client | None = None
        self._proof = ""

    # --- the code

    def write(self, code: str, name: str = "garden.py") -> None:
        """Write the code at once, as editors do."""
        new = self.folder / f".{name}.new"
        new.write_text(code, encoding="utf-8")
        new.replace(self.folder / name)

    def write_version(self, version: str, more: str = "") -> None:
        self.write(CODE.format(version=version) + more)

    # --- the process

    def start(self) -> Self:
        """Start it and wait until something is served."""
        arguments = [sys.executable, "-m", "gatepost", "dev", self._target, "--port", str(self.port), *self._options]
        self._process = subprocess.Popen(
            arguments,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        self.until_said("Try it")
        return self

    def end(self, which: signal.Signals) -> int:
        """Send a signal and return the exit code, once nobody writes any more."""
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(which)
        code = process.wait(PATIENCE)
        assert self._reader is not None
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), "a process has outlived the parent"
        if self._page is not None:
            self._page.close()
        return code

    def until_said(self, text: str, *, times: int = 1) -> None:
        wait_until(lambda: self.output.count(text) >= times, lambda: f"{text} was not said:\n{self.output}")

    @property
    def link(self) -> str:
        """To the page."""
        found = re.search(r"Try it\s+(\S+)", self.output)
        assert found is not None, self.output
        return found[1]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.end(signal.SIGTERM)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.output += line

    # --- what the page's script does

    def page(self, path: str, body: Any = None) -> Any:
        """Ask as the page does."""
        if self._page is None:
            self._page = local_http.client()
            self._proof = self.page("/dev/session", {"key": self.link.partition("#key=")[2]})["proof"]
        headers = {"Gatepost-Dev": self._proof, "Origin": self.origin}
        url = self.origin + path
        answer = (
            self._page.get(url, headers=headers) if body is None else self._page.post(url, json=body, headers=headers)
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def token(self) -> str:
        # The process that shows a failure may answer still.
        wait_until(lambda: bool(self.page("/dev/state")["endpoints"]), lambda: self.output)
        asked = {"endpoint": "/mcp", "user": "dev", "scopes": ["plants:read", "plants:write"]}
        return str(self.page("/dev/token", asked)["access_token"])

    def until_status(self, state: str, generation: int) -> dict[str, Any]:
        def status() -> dict[str, Any]:
            found: dict[str, Any] = self.page("/dev/state")["status"]
            return found

        wait_until(lambda: (status()["state"], status()["generation"]) == (state, generation), lambda: self.output)
        return status()

    def post(self, token: str, method: str, params: Any, **headers: str) -> httpx2.Response:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        sent = {**HEADERS, "Authorization": f"Bearer {token}", **headers}
        return local_http.post(self.mcp_url, json=message, headers=sent)

    def version(self, token: str, **headers: str) -> str:
        """Call the tool; its answer without the process."""
        answer = self.post(token, "tools/call", {"name": "version", "arguments": {}}, **headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["result"]["content"][0]["text"]).split()[0]

    def pid(self, token: str) -> int:
        """Of the process that serves."""
        answer = self.post(token, "tools/call", {"name": "version", "arguments": {}})
        return int(answer.json()["result"]["content"][0]["text"].split()[1])
