"""A little HTTPS server on 127.0.0.1 that answers what a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class TlsServer:
    """One thread, one connection after another; every answer ends its connection."""

    def __init__(self, authority: Path) -> None:
        self.trust_file = authority / "ca.pem"
        self.requests: list[str] = []
        """The head of each request."""
        self.names: list[str | None] = []
        """The TLS server name of each connection."""
        self.connections = 0
        self.answers: dict[str, bytes] = {}
        """What is sent for a path, byte for byte; 404 for every other."""
        self.is_silent = False
        """Whether it reads a request and never answers."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(authority / "server.pem")
        self._context.sni_callback = self._remember_name
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stop = threading.Event()

    def url(self, path: str = "/client.json", *, host: str = "client.example") -> str:
        """Return the URL of a path here."""
        return f"https://{host}:{self.port}{path}"

    def answer(
        self,
        body: object,
        *,
        path: str = "/client.json",
        status: str = "200 OK",
        content_type: str = "application/json",
        headers: str = "",
    ) -> None:
        """Say what a path is answered with; `body` is JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
        self.answers[path] = head.encode() + content

    def trust(self) -> ssl.SSLContext:
        """Return a TLS client that trusts this server's CA and nobody else."""
        return ssl.create_default_context(cafile=str(self.trust_file))

    def _remember_name(self, _socket: Any, name: str | None, _context: Any) -> None:
        self.names.append(name)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(180)
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._answer(secured)
            except (OSError, ValueError):
                connection.close()

    def _answer(self, secured: ssl.SSLSocket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            received = secured.recv(4096)
            if not received:
                return
            head += received
        self.requests.append(head.decode())
        if self.is_silent:
            secured.recv(1)
            return
        path = head.split(b" ", 2)[1].decode()
        missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        secured.sendall(self.answers.get(path, missing))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        # A listener that another thread waits on is woken by a connection, not by its closing.
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join(180)
        self._listener.close()
