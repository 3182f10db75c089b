"""The Prometheus endpoint: a listener of its own, in a thread, that shows the figures of all workers.

It is never on the public port. Without a token it answers to names of this machine alone, so that neither a page in a
browser (DNS rebinding) nor a tunnel to it reads anything.

Of several workers whoever takes a scrape asks the others, each over a Unix socket in a folder that only this user may
read, and puts their figures beside its own. So there is one address to scrape, whatever workers come and go, and every
series says in its label `worker` which process it is of (record 0086).
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import re
import shutil
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from gatepost.late_dataclass import dataclass

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PARENT_FILE: Final = "parent.prom"
"""In the folder of the workers: what their parent says of them."""
_PATHS: Final = frozenset({"/metrics", "/metrics/"})
_LOCAL_HOST: Final = re.compile(r"(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_REQUEST_SECONDS: Final = 5.0
"""For a whole request to come and its answer to be taken, however slowly either goes on."""
_SIBLING_SECONDS: Final = 1.0
_MOST_AT_ONCE: Final = 4
_BACKLOG: Final = 16
_POLL_SECONDS: Final = 0.1
_FAMILY: Final = re.compile(rb"# (?:HELP|TYPE) (\S+)")

logger = logging.getLogger("gatepost.metrics")


def listen_at(address: tuple[str, int]) -> socket.socket:
    """Return a listener.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=_BACKLOG)


@dataclass(frozen=True, slots=True)
class MetricsPlace:
    """Where a process shows its figures."""

    listener: socket.socket
    folder: Path | None = None
    """Where workers find each other; None for a process that is alone."""
    worker: str = "0"
    """Which of them this is."""


class MetricsListener:
    """Serves the figures of this process and of those beside it.

    Args:
        place: where.
        text: returns the figures of this process, each sample with its worker.
        token: what a scraper has to send; None: names of this machine alone are answered.
    """

    def __init__(self, place: MetricsPlace, text: Callable[[str], bytes], *, token: str | None) -> None:
        self._place, self._text, self._token = place, text, token
        self._servers: list[socketserver.BaseServer] = []
        self._own = None if place.folder is None else place.folder / f"{place.worker}.sock"

    def start(self) -> None:
        """Begin to serve."""
        if self._own is not None:
            self._own.unlink(missing_ok=True)
            self._begin(_Siblings(str(self._own), self._text_of_own))
        # Several processes have it; whoever is late finds nothing to accept.
        self._place.listener.settimeout(0)
        self._begin(_Scrapes(self._place.listener, self._all, self._token))

    def stop(self) -> None:
        """End; the listener is left to whoever made it."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()
        if self._own is not None:
            self._own.unlink(missing_ok=True)

    def _begin(self, server: socketserver.BaseServer) -> None:
        self._servers.append(server)
        serve = threading.Thread(
            target=server.serve_forever, args=(_POLL_SECONDS,), name="gatepost-metrics", daemon=True
        )
        serve.start()

    def _text_of_own(self) -> bytes:
        return self._text(self._place.worker)

    def _all(self) -> bytes:
        texts = [self._text_of_own()]
        folder = self._place.folder
        if folder is None:
            return texts[0]
        texts += [_text_of_sibling(path) for path in sorted(folder.glob("*.sock")) if path != self._own]
        with contextlib.suppress(OSError):
            texts.append((folder / PARENT_FILE).read_bytes())
        return merged(texts)


def merged(texts: Iterable[bytes]) -> bytes:
    """Return what several processes say as one text, in which each metric stands once with all its samples."""
    families: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for text in texts:
        heads, samples = families.setdefault(b"", ([], []))
        is_new = False
        for line in text.splitlines():
            found = _FAMILY.match(line)
            if found is None:
                samples.append(line)
                continue
            if line.startswith(b"# HELP"):
                is_new = found[1] not in families
                heads, samples = families.setdefault(found[1], ([], []))
            if is_new:
                heads.append(line)
    lines = [line for heads, samples in families.values() for line in (*heads, *samples)]
    return b"".join(line + b"\n" for line in lines)


def _text_of_sibling(path: Path) -> bytes:
    parts: list[bytes] = []
    # One that has ended, or is stuck, has nothing to say; the others' figures are shown all the same.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SIBLING_SECONDS)
        connection.connect(str(path))
        while part := connection.recv(65_536):
            parts.append(part)
        return b"".join(parts)
    return b""


class _Siblings(socketserver.ThreadingUnixStreamServer):
    """Tells another worker the figures of this one."""

    daemon_threads = True

    def __init__(self, path: str, text: Callable[[], bytes]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(_SIBLING_SECONDS)
                with contextlib.suppress(OSError):
                    self.request.sendall(text())

        super().__init__(path, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        logger.exception("figures could not be told to another worker")  # noqa: LOG004 - likewise


class _Scrapes(ThreadingHTTPServer):
    """Answers scrapes, a few at a time; who comes meanwhile is closed."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, text: Callable[[], bytes], token: str | None) -> None:
        super().__init__(("", 0), _Scrape, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.text, self.token = text, token
        self._places = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # A timeout of the socket is for each read, so who sends a byte now and then would keep the place.
        deadline = threading.Timer(_REQUEST_SECONDS, _end, [request])
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._places.release()

    def server_close(self) -> None:
        """Leave the listener to whoever made it."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        # Who has gone, or has been sent away for being slow, is no fault.
        if not isinstance(sys.exception(), ConnectionError):
            logger.exception("a scrape failed")  # noqa: LOG004 - called while an exception is handled


def _end(connection: socket.socket) -> None:
    """End a connection, whoever waits at it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Scrape(BaseHTTPRequestHandler):
    server: _Scrapes
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        token = self.server.token
        if token is None and not self._is_from_here():
            self._answer(
                421,
                "This endpoint answers to names of this machine alone. To be scraped by another name, set "
                "MCP_METRICS_TOKEN.\n",
            )
        elif token is not None and not self._has(token):
            self._answer(401, "Send Authorization: Bearer and MCP_METRICS_TOKEN.\n", ("WWW-Authenticate", "Bearer"))
        elif self.path.partition("?")[0] not in _PATHS:
            self._answer(404, "The figures are at /metrics.\n")
        else:
            self._answer(200, self.server.text().decode())

    def _is_from_here(self) -> bool:
        hosts = self.headers.get_all("Host", [])
        return len(hosts) == 1 and _LOCAL_HOST.fullmatch(hosts[0]) is not None

    def _has(self, token: str) -> bool:
        given = self.headers.get("Authorization", "")
        scheme, _, sent = given.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), token.encode())

    def _answer(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "gatepost"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - what it overrides has this name
        """Log nothing: a scrape every few seconds is none of a person's business."""
        del format, args


def remove_folder(folder: Path) -> None:
    """Remove the folder in which workers find each other, with all that is left there."""
    shutil.rmtree(folder, ignore_errors=True)
