"""A TCP proxy between a server and its database, which delays what passes, or cuts a connection at a chosen message."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import Final, Self

from tests.end_to_end.running_server import free_port

_LARGEST: Final = 1 << 16
_PATIENCE: Final = 60.0  # seconds; for the answer of a database that was asked


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    is_muted: threading.Event = field(default_factory=threading.Event)
    """Set when the answer is to go nowhere."""
    has_answered: threading.Event = field(default_factory=threading.Event)

    def cut(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class Wire:
    """Passes connections at `port` on to `target_port`, both on loopback.

    Attributes:
        target_port: where new connections go.
        port: where they come in.
        delay: seconds for which each piece of an answer is held back.
        was_cut: set once a connection was cut.
    """

    target_port: int
    port: int = field(default_factory=free_port)
    delay: float = 0.0
    was_cut: threading.Event = field(default_factory=threading.Event)
    _cuts_at: int = 0
    _lets_through: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: set[_Connection] = field(default_factory=set)
    _listener: socket.socket = field(init=False)

    def arm(self, cuts_at: int, *, lets_through: bool) -> None:
        """Cut the connection that asks the so-manyth time from now on, counted from 1 over all connections.

        Args:
            cuts_at: which piece it is that is asked.
            lets_through: whether it still reaches the database, whose answer then goes nowhere.
        """
        with self._lock:
            self.was_cut.clear()
            self._cuts_at, self._lets_through = cuts_at, lets_through

    def disarm(self) -> bool:
        """Cut none from now on; return whether one was."""
        with self._lock:
            self._cuts_at = 0
            return self.was_cut.is_set()

    def cut_all(self) -> None:
        """Cut what is connected now."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.cut()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(client, server)
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._ask, args=(connection,), daemon=True).start()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _ask(self, connection: _Connection) -> None:
        with contextlib.suppress(OSError):
            while piece := connection.client.recv(_LARGEST):
                if not self._cuts():
                    connection.server.sendall(piece)
                    continue
                if self._lets_through:
                    connection.is_muted.set()
                    connection.server.sendall(piece)
                    connection.has_answered.wait(_PATIENCE)
                self.was_cut.set()
                break
        connection.cut()
        with self._lock:
            self._open.discard(connection)
        connection.client.close()

    def _answer(self, connection: _Connection) -> None:
        with contextlib.suppress(OSError):
            while piece := connection.server.recv(_LARGEST):
                if connection.is_muted.is_set():
                    break
                if self.delay:
                    threading.Event().wait(self.delay)
                connection.client.sendall(piece)
        connection.has_answered.set()
        connection.cut()
        connection.server.close()

    def _cuts(self) -> bool:
        with self._lock:
            if self._cuts_at:
                self._cuts_at -= 1
                return self._cuts_at == 0
            return False
