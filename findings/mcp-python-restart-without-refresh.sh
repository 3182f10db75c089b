#!/usr/bin/env bash
# Package:  mcp (PyPI), the official Python SDK
# Version:  2.3.0
# Seen:     2026-11-30
# Guess:    a program that starts anew, with an access token in its storage that has ended and a refresh token that
#           is good, refreshes: before its first request, or at the latest when that is answered 401.
# Happens:  neither. When an access token ends is known in memory alone, so after a start every stored one counts as
#           good; and a 401 always begins a new authorization, whatever refresh token there is.
# Matters:  users log in anew at each start after a pause longer than an access token lives, so days of refresh
#           tokens do not help a client that is started for each task. In the server's records the refresh token is
#           never used.
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
from urllib.parse import parse_qs

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

REDIRECT_URI = "http://127.0.0.1:9/callback"
seen = []


class Stub(BaseHTTPRequestHandler):
    """MCP endpoint and authorization server, at which the stored access token has ended and a refresh would work."""

    def do_GET(self):
        base = f"http://{self.headers['Host']}"
        if self.path.startswith("/.well-known/oauth-protected-resource"):
            self.answer(200, {"resource": f"{base}/mcp", "authorization_servers": [base]})
        else:
            endpoints = {"authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}
            lists = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
            self.answer(200, {"issuer": base, **endpoints, **lists})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/token":
            seen.append(f"POST /token {parse_qs(body)['grant_type'][0]}")
            self.answer(200, {"access_token": "new", "token_type": "Bearer", "expires_in": 60})
        else:
            token = self.headers.get("Authorization", "no token")
            status = 200 if token == "Bearer new" else 401
            seen.append(f"POST /mcp with {token}: {status}")
            self.answer(status, {}, () if status == 200 else [("WWW-Authenticate", 'Bearer error="invalid_token"')])

    def answer(self, status, content, fields=()):
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), *fields):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


class Storage:
    """What the client kept when it ran last."""

    async def get_tokens(self):
        return OAuthToken(access_token="old", token_type="Bearer", expires_in=60, refresh_token="refresh")

    async def set_tokens(self, tokens):
        pass

    async def get_client_info(self):
        return OAuthClientInformationFull(
            client_id="client", redirect_uris=[REDIRECT_URI], token_endpoint_auth_method="none"
        )

    async def set_client_info(self, client):
        pass


class NobodyThere(Exception):
    """The browser was asked for."""


async def walk(url):
    async def redirect(_):
        seen.append("the browser opens the authorization endpoint")
        raise NobodyThere

    async def callback():
        raise NobodyThere

    metadata = OAuthClientMetadata(redirect_uris=[REDIRECT_URI], token_endpoint_auth_method="none")
    provider = OAuthClientProvider(url, metadata, Storage(), redirect, callback)
    async with httpx2.AsyncClient(auth=provider, trust_env=False, timeout=10) as client:
        try:
            await client.post(url, json={})
        except NobodyThere:
            pass


logging.disable(logging.CRITICAL)
server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
threading.Thread(target=server.serve_forever, daemon=True).start()
asyncio.run(walk(f"http://127.0.0.1:{server.server_port}/mcp"))
print("mcp", importlib.metadata.version("mcp"))
print(*seen, sep="\n")
sys.exit(seen != ["POST /mcp with Bearer old: 401", "the browser opens the authorization endpoint"])
PROBE
