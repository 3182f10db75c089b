#!/usr/bin/env bash
# Package:  fastmcp (PyPI), its client; with mcp 2.3.0
# Version:  4.1.2
# Seen:     2026-11-30
# Guess:    a client that starts anew with an access token that has ended refreshes where the metadata of the
#           authorization server says, as it does while it runs.
# Happens:  the metadata is not kept and, before the first 401, not fetched: the refresh goes to /token of the MCP
#           server's origin. Unless the token endpoint happens to lie there, it is answered 404 and the user has to
#           log in.
# Matters:  the same client refreshes well all day and asks for a login at each start after a pause. The server's
#           log shows a POST to a path that no document of it names.
set -u
export PIP_DISABLE_PIP_VERSION_CHECK=1
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cat >"$folder/pinned.txt" <<'PINNED'
fastmcp==4.1.2 --hash=sha256:3d5eddfe624b002ebcf202d5a55ff13bdce6925ce58bfcaeb28bc2e3bbee1830
fastmcp-slim==4.1.2 --hash=sha256:58a4e547a0f85cfee2d2219677ed31c0f1c4911741a5c91a1ee5fbf69dde35fa
mcp==2.3.0 --hash=sha256:dd0c44c089d16453e8ae31a3877a0054d7a2314caaa81f5e0541b9b1734b2377
mcp-types==2.3.0 --hash=sha256:968efdbdaedfab06adae40d378a34395f1090c5921d4be3c9cde283aaf76d91d
httpx2==2.16.2 --hash=sha256:f05c13aade4c45dbf1c9060647a1058f0acad62398fad96e741269edb33d46f5
httpcore2==2.16.2 --hash=sha256:16051ae2a42f776007543f32de9349a317b23d2cbb4e1456b4bac0e88b87419a
PINNED
"${PYTHON:-python3}" -m venv "$folder/venv" || exit 2
pip=("$folder/venv/bin/pip" install --quiet --only-binary :all:)
timeout 300 "${pip[@]}" --no-deps --require-hashes -r "$folder/pinned.txt" || exit 2
timeout 300 "${pip[@]}" fastmcp==4.1.2 || exit 2

no_proxy=127.0.0.1,localhost timeout 90 "$folder/venv/bin/python" - <<'PROBE' && exit 0 || exit 1
import asyncio
import importlib.metadata
import json
import logging
import sys
import threading
import time
import warnings
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

import httpx2
from fastmcp.client.auth import OAuth
from key_value.aio.stores.memory import MemoryStore

LIFETIME = 3  # seconds
seen = []


class Stub(BaseHTTPRequestHandler):
    """MCP endpoint and authorization server, whose token endpoint is /oauth/token and says so."""

    def do_GET(self):
        base, url = f"http://{self.headers['Host']}", urlsplit(self.path)
        if url.path.startswith("/.well-known/oauth-protected-resource"):
            self.answer(200, {"resource": f"{base}/mcp", "authorization_servers": [base]})
        elif url.path == "/.well-known/oauth-authorization-server":
            names = {"authorization": "authorize", "token": "token", "registration": "register"}
            endpoints = {f"{name}_endpoint": f"{base}/oauth/{path}" for name, path in names.items()}
            lists = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
            self.answer(200, {"issuer": base, **endpoints, **lists})
        else:
            asked = dict(parse_qsl(url.query))
            back = urlencode({"code": "code", "state": asked["state"]})
            self.answer(302, {}, [("Location", f"{asked['redirect_uri']}?{back}")])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/mcp":
            self.answer(200 if alive() and self.headers.get("Authorization") else 401, {})
        elif self.path == "/oauth/register":
            self.answer(201, {**json.loads(body), "client_id": "client"})
        else:
            status = 200 if self.path == "/oauth/token" else 404
            seen.append(f"POST {self.path} {parse_qs(body)['grant_type'][0]}: {status}")
            times.append(time.monotonic())
            token = {"access_token": "access", "refresh_token": "refresh", "expires_in": LIFETIME}
            self.answer(status, {**token, "token_type": "Bearer"} if status == 200 else {})

    def answer(self, status, content, fields=()):
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), *fields):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


def alive():
    return bool(times) and time.monotonic() < times[-1] + LIFETIME


def visit(url):
    """Be the browser of somebody who approves at once."""
    seen.append("the browser opens the authorization endpoint")
    threading.Thread(target=approve, args=(url,), daemon=True).start()


def approve(url):
    for _ in range(100):  # until the client's callback server listens
        try:
            urlopen(url, timeout=10).read()
        except OSError:
            time.sleep(0.2)
        else:
            return


def started(kept):
    return OAuth(url, token_storage=kept, httpx_client_factory=lambda: httpx2.AsyncClient(trust_env=False))


async def call(provider):
    async with httpx2.AsyncClient(auth=provider, trust_env=False, timeout=10) as client:
        await client.post(url, json={})


async def walk():
    kept = MemoryStore()
    provider = started(kept)
    await call(provider)
    await asyncio.sleep(LIFETIME + 0.5)
    seen.append("-- the access token has ended")
    await call(provider)
    await asyncio.sleep(LIFETIME + 0.5)
    seen.append("-- it has ended again, and the client starts anew")
    await call(started(kept))


logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
times = []
webbrowser.open = visit
server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/mcp"
asyncio.run(walk())
print("fastmcp", importlib.metadata.version("fastmcp"), "mcp", importlib.metadata.version("mcp"))
print(*seen, sep="\n")
sys.exit(
    seen
    != [
        "the browser opens the authorization endpoint",
        "POST /oauth/token authorization_code: 200",
        "-- the access token has ended",
        "POST /oauth/token refresh_token: 200",
        "-- it has ended again, and the client starts anew",
        "POST /token refresh_token: 404",
        "the browser opens the authorization endpoint",
        "POST /oauth/token authorization_code: 200",
    ]
)
PROBE
