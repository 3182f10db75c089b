#!/usr/bin/env bash
# Package:  mcp (PyPI), the official Python SDK
# Version:  2.3.0
# Seen:     2026-11-30
# Guess:    where the metadata of the authorization server is answered 503, the login fails with an error that says
#           so, as it does for the protected resource metadata (RFC 9728), or it is tried again.
# Happens:  it goes on as if there were no metadata, by the way of revision 2025-03-26: it registers at /register of
#           the MCP server's origin, though the protected resource metadata names an authorization server elsewhere.
# Matters:  the user is told "Registration failed: 404", and whoever looks for the cause looks at registration, at
#           the wrong server. That the authorization server was away for a second stands nowhere.
set -u
export PIP_DISABLE_PIP_VERSION_CHECK=1
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cat >"$folder/pinned.txt" <<'PINNED'
mcp==2.3.0 --hash=sha256:dd0c44c089d16453e8ae31a3877a0054d7a2314caaa81f5e0541b9b1734b2377
mcp-types==2.3.0 --hash=sha256:968efdbdaedfab06adae40d378a34395f1090c5921d4be3c9cde283aaf76d91d
httpx2==2.16.2 --hash=sha256:f05c13aade4c45dbf1c9060647a1058f0acad62398fad96e741269edb33d46f5
httpcore2==2.16.2 --hash=sha256:16051ae2a42f776007543f32de9349a317b23d2cbb4e1456b4bac0e88b87419a
PINNED
"${PYTHON:-python3}" -m venv "$folder/venv" || exit 2
pip=("$folder/venv/bin/pip" install --quiet --only-binary :all:)
timeout 300 "${pip[@]}" --no-deps --require-hashes -r "$folder/pinned.txt" || exit 2
timeout 300 "${pip[@]}" mcp==2.3.0 || exit 2

timeout 60 "$folder/venv/bin/python" - <<'PROBE' && exit 0 || exit 1
import asyncio
import importlib.metadata
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata

REDIRECT_URI = "http://127.0.0.1:9/callback"
seen = []


class Stub(BaseHTTPRequestHandler):
    def answer(self, status, content, fields=()):
        seen.append(f"{self.role}: {self.command} {self.path}: {status}")
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), *fields):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


class AuthorizationServer(Stub):
    """Away for a moment."""

    role = "authorization server"

    def do_GET(self):
        self.answer(503, {"error": "temporarily_unavailable"}, [("Retry-After", "1")])

    do_POST = do_GET


class Resource(Stub):
    """An MCP server that leaves authorization to another."""

    role = "MCP server"

    def do_GET(self):
        mcp = f"http://{self.headers['Host']}/mcp"
        self.answer(200, {"resource": mcp, "authorization_servers": [elsewhere]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(401 if self.path == "/mcp" else 404, {})


class Storage:
    """A client that was never here."""

    async def get_tokens(self):
        return None

    get_client_info = get_tokens

    async def set_tokens(self, tokens):
        pass

    set_client_info = set_tokens


def started(role):
    server = ThreadingHTTPServer(("127.0.0.1", 0), role)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


async def walk(url):
    async def browser(*_):
        seen.append("the browser is opened")
        raise RuntimeError("not expected")

    metadata = OAuthClientMetadata(redirect_uris=[REDIRECT_URI], token_endpoint_auth_method="none")
    provider = OAuthClientProvider(url, metadata, Storage(), browser, browser)
    async with httpx2.AsyncClient(auth=provider, trust_env=False, timeout=10) as client:
        try:
            await client.post(url, json={})
        except Exception as error:
            seen.append(f"the user reads: {error}")


logging.disable(logging.CRITICAL)
elsewhere = started(AuthorizationServer)
asyncio.run(walk(started(Resource) + "/mcp"))
print("mcp", importlib.metadata.version("mcp"))
print(*seen, sep="\n")
sys.exit(
    seen
    != [
        "MCP server: POST /mcp: 401",
        "MCP server: GET /.well-known/oauth-protected-resource/mcp: 200",
        "authorization server: GET /.well-known/oauth-authorization-server: 503",
        "MCP server: POST /register: 404",
        "the user reads: Registration failed: 404 {}",
    ]
)
PROBE
