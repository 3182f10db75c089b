"""JSON-RPC with a program over its standard input and output, one message a line."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Self

from tools.clients.terminal import STEP_SECONDS, end_group


class NoAnswerError(Exception):
    """The program ended, stayed silent, or answered with an error; the text says which."""


class Conversation:
    """A program that runs until the block ends."""

    def __init__(
        self, command: list[str], *, cwd: Path, environment: Mapping[str, str], hears: Callable[[str], None]
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - pinned by its hash
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said = ""
        self._hears = hears
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._last = 0
        assert self._process.stdout is not None  # noqa: S101 - as asked for above
        assert self._process.stderr is not None  # noqa: S101 - likewise
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True).start()

    def ask(self, method: str, params: dict[str, Any], *, seconds: float = STEP_SECONDS) -> dict[str, Any]:
        """Send a request and return its result.

        Raises:
            NoAnswerError: There is none.
        """
        self._last += 1
        self._send({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                message = self._answers.get(timeout=min(left, 0.5))
            except queue.Empty:
                if self._process.poll() is not None:
                    raise NoAnswerError(f"it ended with code {self._process.returncode}") from None
                continue
            if message.get("id") != self._last:
                continue
            if "error" in message:
                raise NoAnswerError(str(message["error"].get("message")))
            result: dict[str, Any] = message["result"]
            return result
        raise NoAnswerError(f"no answer in {seconds:g} s")

    @property
    def last_line(self) -> str:
        """What the program said last beside its messages."""
        return next((line.strip() for line in reversed(self.said.splitlines()) if line.strip()), "")

    def tell(self, method: str) -> None:
        """Send a notification."""
        self._send({"jsonrpc": "2.0", "method": method})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - as asked for at the start
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise NoAnswerError("it ended") from None

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if "method" not in message:
                self._answers.put(message)

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            self.said += line
            self._hears(self.said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_group(self._process)
