"""nginx with the file of `deploy/proxies` in front of the server, and TLS by an authority that is made here."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.outbound.certificates import issue
from tools.clients.terminal import end_group
from tools.conformance.suite import free_port
from tools.proxies.processes import PROXIES, start

NGINX = next(proxy for proxy in PROXIES if proxy.name == "nginx")
PUBLIC_NAME = "mcp.example.com"
_START_SECONDS = 30


@contextmanager
def nginx_in_front(folder: Path, *, server_port: int) -> Iterator[tuple[str, ssl.SSLContext]]:
    """Run nginx, and give the public origin, and what trusts its certificate.

    Raises:
        TimeoutError: it does not answer.
    """
    folder.mkdir()
    issue(folder, names=(PUBLIC_NAME,))
    port = free_port()
    process = start(
        NGINX, folder / "nginx", proxy_port=port, server_port=server_port, adapt=lambda text: with_tls(text, folder)
    )
    try:
        trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        _await_tls(process, port, trusted)
        yield f"https://{PUBLIC_NAME}:{port}", trusted
    finally:
        end_group(process)


def with_tls(text: str, folder: Path) -> str:
    """Do to nginx's file what its first line says: `listen … ssl` and the two lines of the certificate."""
    lines = []
    for line in text.splitlines():
        if line.strip().startswith("listen "):
            certificate = folder / "server.pem"
            line = (  # noqa: PLW2901 - one line becomes three
                f"{line.rstrip(';')} ssl;\n    ssl_certificate {certificate};\n    ssl_certificate_key {certificate};"
            )
        lines.append(line)
    return "\n".join(lines) + "\n"


def _await_tls(process: subprocess.Popen[bytes], port: int, trusted: ssl.SSLContext) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
                trusted.wrap_socket(plain, server_hostname=PUBLIC_NAME).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("nginx does not answer")
