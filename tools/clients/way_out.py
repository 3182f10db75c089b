"""A forward proxy, and behind it a web on which every client's document lies, made of what the client asked for."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.outbound.certificates import issue

_SECONDS = 10.0


class WayOut:
    """Answers CONNECT itself, as the server that was asked for.

    Args:
        folder: where its certificates go.
        hosts: what it has certificates for.
        visits: the log of the browser, which says with which redirect URI a client came.
    """

    def __init__(self, folder: Path, hosts: list[str], visits: Path) -> None:
        folder.mkdir(parents=True)
        issue(folder, names=hosts)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "server.pem")
        self._visits = visits
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.settings = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._listener.getsockname()[1]}",
            "OAUTH_PROXY_RESOLVES_NAMES": "true",
            "SSL_CERT_FILE": str(folder / "ca.pem"),
        }
        """What a server needs to find out by it."""

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(_SECONDS)
            try:
                host = _head(connection).split()[1].rpartition(":")[0]
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with self._tls.wrap_socket(connection, server_side=True) as secured:
                    secured.sendall(self._answer(f"https://{host}{_head(secured).split()[1]}"))
            except (OSError, IndexError):
                connection.close()

    def _answer(self, client_id: str) -> bytes:
        asked = [parse_qs(urlsplit(line).query) for line in self._visits.read_text(encoding="utf-8").splitlines()]
        uris = [query["redirect_uri"][0] for query in asked if query.get("client_id") == [client_id]]
        document = {"client_id": client_id, "client_name": "Client", "redirect_uris": uris}
        body = json.dumps({**document, "token_endpoint_auth_method": "none"}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it
        self._listener.close()


def _head(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head and (received := connection.recv(4096)):
        head += received
    return head.decode("ascii", "replace")
