#!/usr/bin/env bash
# Package:  httpx2 and httpcore2 (PyPI)
# Version:  2.16.2
# Seen:     2026-11-30
# Guess:    through a forward proxy, https://[2001:db8::1]/ is asked for as CONNECT [2001:db8::1]:443 (RFC 9110,
#           9.3.6; RFC 3986, 3.2.2), as the URL that was given has brackets.
# Happens:  the brackets are lost in the request line: CONNECT 2001:db8::1:443, and GET http://2001:db8::1/ without
#           TLS. The Host field shares the fault with CONNECT, but is right with GET.
# Matters:  a proxy that parses the target strictly refuses it, and nobody suspects the client: names and IPv4 work.
#           Who resolves a name itself and asks the proxy for the address meets it with every host that has IPv6
#           alone.
set -u
export PIP_DISABLE_PIP_VERSION_CHECK=1
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cat >"$folder/pinned.txt" <<'PINNED'
httpx2==2.16.2 --hash=sha256:f05c13aade4c45dbf1c9060647a1058f0acad62398fad96e741269edb33d46f5
httpcore2==2.16.2 --hash=sha256:16051ae2a42f776007543f32de9349a317b23d2cbb4e1456b4bac0e88b87419a
PINNED
"${PYTHON:-python3}" -m venv "$folder/venv" || exit 2
pip=("$folder/venv/bin/pip" install --quiet --only-binary :all:)
timeout 300 "${pip[@]}" --no-deps --require-hashes -r "$folder/pinned.txt" || exit 2
timeout 300 "${pip[@]}" httpx2==2.16.2 httpcore2==2.16.2 || exit 2

timeout 30 "$folder/venv/bin/python" - <<'PROBE' && exit 0 || exit 1
import contextlib
import socket
import sys
import threading

import httpcore2
import httpx2

URLS = ("https://[2001:db8::1]/", "http://[2001:db8::1]/", "https://192.0.2.1/")
listener = socket.create_server(("127.0.0.1", 0))
seen = []


def proxy():
    """Note the request line and the Host field, and go no further: nothing leaves this machine."""
    for _ in URLS:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            request = lines.readline().decode().strip()
            fields = dict(line.decode().strip().split(": ", 1) for line in iter(lines.readline, b"\r\n"))
            seen.append((request, fields["Host"]))
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


thread = threading.Thread(target=proxy, daemon=True)
thread.start()
for url in URLS:
    with httpx2.Client(proxy=f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False, timeout=5) as client:
        with contextlib.suppress(httpx2.ProxyError):
            client.get(url)
thread.join(timeout=5)

print("httpx2", httpx2.__version__, "httpcore2", httpcore2.__version__)
for url, (request, host) in zip(URLS, seen):
    print(f"{url} is asked for as: {request} (Host: {host})")
sys.exit(
    seen
    != [
        ("CONNECT 2001:db8::1:443 HTTP/1.1", "2001:db8::1:443"),
        ("GET http://2001:db8::1/ HTTP/1.1", "[2001:db8::1]"),
        ("CONNECT 192.0.2.1:443 HTTP/1.1", "192.0.2.1:443"),
    ]
)
PROBE
