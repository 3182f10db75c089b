"""A server on standard input and output (2025-11-25 basic/transports, "stdio"): a process for each connection.

The process gets an environment that is given to it, and nothing of ours; a process group and session of its own, so
that it has no terminal and a Ctrl-C there is none of its business, and so that launchers such as `npx` end with what
they launched. It is ended by closing its input, then by SIGTERM and at last SIGKILL to the group.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections import deque
from collections.abc import Mapping
from dataclasses import field
from typing import Final, cast

from gatepost.fronts.backend import BackendLost, BackendUnavailable, Outgoing, Receiver, SessionUser
from gatepost.fronts.user_name import USER, name_of
from gatepost.late_dataclass import dataclass
from gatepost.stdio.streams import LineSplitter

LINE_LIMIT: Final = 32 * 1024 * 1024
"""The longest message that is read from a server, in bytes."""
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""What a process gets of our own environment without being asked for."""
_CLOSING_SECONDS: Final = 2.0
"""How long a process may take after its input was closed, and after SIGTERM."""
_LAST_BYTES_SECONDS: Final = 1.0
"""How long the output of a process that has ended is waited for; what it launched may hold the output open."""
_TAIL: Final = 20
_LONGEST_LINE: Final = 1000
_LOGGED_PER_SECOND: Final = 20

logger = logging.getLogger("gatepost.front")


@dataclass(slots=True, eq=False, kw_only=True)
class StdioBackend:
    """Starts a process for each connection."""

    arguments: tuple[str, ...]
    """The command and its arguments; `{user}` in them stands for the user."""
    environment: Mapping[str, str]
    """All of the process's environment; `{user}` in values likewise."""
    directory: str | None = None
    """Where the process runs; our own working directory when None."""
    is_same_for_all: bool = field(init=False)
    _last_words: deque[str] = field(default_factory=lambda: deque[str](maxlen=_TAIL), init=False)

    def __post_init__(self) -> None:
        self.is_same_for_all = not any(USER in text for text in (*self.arguments, *self.environment.values()))

    @property
    def name(self) -> str:
        return os.path.basename(self.arguments[0])  # noqa: PTH119 - a command need not be a path

    @property
    def is_needed_at_start(self) -> bool:
        return True

    async def connect(self, receiver: Receiver, user: SessionUser | None) -> ServerProcess:
        known_as = name_of(user)
        arguments = [argument.replace(USER, known_as) for argument in self.arguments]
        environment = {name: value.replace(USER, known_as) for name, value in self.environment.items()}
        try:
            _, protocol = await asyncio.get_running_loop().subprocess_exec(
                lambda: ServerProcess(receiver, self._last_words),
                *arguments,
                env=environment,
                cwd=self.directory,
                start_new_session=True,
            )
        except OSError as error:
            raise BackendUnavailable(f"{arguments[0]} cannot be started: {error.strerror or error}.") from None
        return protocol

    def last_words(self) -> str:
        return "\n".join(self._last_words)


class ServerProcess(asyncio.SubprocessProtocol):
    """One process. Made by the event loop.

    Args:
        receiver: takes its messages.
        last_words: its lines on standard error are kept there.
    """

    def __init__(self, receiver: Receiver, last_words: deque[str]) -> None:
        self._receiver = receiver
        self._last_words = last_words
        self._loop = asyncio.get_running_loop()
        self._output = LineSplitter(LINE_LIMIT)
        self._errors = LineSplitter(_LONGEST_LINE)
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._ended = asyncio.Event()
        self._outgoing: list[bytes] = []
        self._is_closing = False
        self._is_output_over = False
        self._logged: tuple[float, int] = (0.0, 0)

    @property
    def pid(self) -> int:
        """The id of the process, and of its group."""
        return self._transport.get_pid()

    async def send(self, message: Outgoing) -> None:
        # The input of a process that has ended is a pipe that nobody reads.
        if self._input.is_closing() or self._is_closing:
            raise BackendLost("Its input is closed.")
        # What is sent in one turn of the event loop is one write: each wakes the server, and is a system call.
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(message.data)
        if not self._may_write.is_set():
            await self._may_write.wait()

    async def close(self) -> None:
        self._flush()
        self._is_closing = True
        self._input.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if await self._has_ended(_CLOSING_SECONDS):
                break
            self._signal(number)
        else:
            await self._has_ended(_CLOSING_SECONDS)
        # What it launched may have outlived it.
        self._signal(signal.SIGKILL)
        self._transport.close()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._input = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:  # noqa: PLR2004 - standard error, as everywhere
            self._say(self._errors.feed(data))
            return
        for line in self._output.feed(data):
            if line is None:
                # Whose answer it was cannot be said, so that somebody would wait for ever.
                self._lose(f"It wrote a message of more than {LINE_LIMIT} bytes.")
            elif line.strip():
                self._receiver.take(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc
        if fd == 1:
            self._is_output_over = True
            if self._ended.is_set():
                self._lose(self._how_it_ended())
            else:
                self._loop.call_later(_LAST_BYTES_SECONDS, self._lose, "It closed its output.")
        elif fd == 2:  # noqa: PLR2004 - as above
            self._say(self._errors.end())
        else:
            self._may_write.set()

    def process_exited(self) -> None:
        self._ended.set()
        self._may_write.set()
        if self._is_output_over:
            self._lose(self._how_it_ended())
        else:
            # What it wrote last still lies in the pipe, which what it launched may hold open.
            self._loop.call_later(_LAST_BYTES_SECONDS, self._lose, self._how_it_ended())

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def _flush(self) -> None:
        if self._outgoing and not self._input.is_closing():
            self._input.write(b"\n".join((*self._outgoing, b"")))
        self._outgoing.clear()

    def _how_it_ended(self) -> str:
        code = self._transport.get_returncode()
        return f"It was ended by signal {-code}." if code is not None and code < 0 else f"It ended with code {code}."

    def _lose(self, why: str) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._receiver.lost(why)
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _has_ended(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    def _say(self, lines: list[bytes | None]) -> None:
        """Keep and log lines of standard error; of many at once, the log gets some and a count."""
        for line in lines:
            text = "(a long line)" if line is None else line.decode(errors="replace").rstrip()
            if not text:
                continue
            self._last_words.append(text)
            since, count = self._logged
            now = self._loop.time()
            if now - since >= 1:
                if count > _LOGGED_PER_SECOND:
                    logger.info("server %d: %d more lines", self.pid, count - _LOGGED_PER_SECOND)
                since, count = now, 0
            self._logged = since, count + 1
            if count < _LOGGED_PER_SECOND:
                logger.info("server %d: %s", self.pid, text)


def environment_of(given: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process: what is given, and of our own what no program does without."""
    return {name: own[name] for name in INHERITED if name in own} | dict(given)
