#!/usr/bin/env bash
# Package:  mcp (PyPI), the official Python SDK
# Version:  2.3.0
# Seen:     2026-11-30
# Guess:    a refresh that is answered 503 with Retry-After is tried again, or the call fails; the refresh token,
#           which was neither used nor refused, is kept for the next call.
# Happens:  any answer but 200 counts as a refused refresh. The client forgets its tokens, sends the MCP request
#           without any, and begins a new authorization in the browser, all within the same call.
# Matters:  seconds in which a token endpoint is away (a restart, a limit) send every user whose token ends then to
#           the login, and a client without a person beside it stops. A server cannot prevent it by what it answers.
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
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata

LIFETIME = 1  # seconds
REDIRECT_URI = "http://127.0.0.1:9/callback"
seen = []


class Stub(BaseHTTPRequestHandler):
    """MCP endpoint and authorization server; the first refresh meets a server that is away for a moment."""

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
        if self.path == "/mcp":
            token = self.headers.get("Authorization", "no token")
            seen.append(f"POST /mcp with {token}")
            self.answer(401 if token == "no token" else 200, {})
        else:
            grant = parse_qs(body)["grant_type"][0]
            away = grant == "refresh_token" and not any("refresh_token" in line for line in seen)
            seen.append(f"POST /token {grant}: {503 if away else 200}")
            if away:
                self.answer(503, {"error": "temporarily_unavailable"}, [("Retry-After", "1")])
            else:
                token = {"access_token": "access", "refresh_token": "refresh", "expires_in": LIFETIME}
                self.answer(200, {**token, "token_type": "Bearer"})

    def answer(self, status, content, fields=()):
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), *fields):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


class Storage:
    """A client that registered before and has no tokens yet."""

    tokens = None
    client = OAuthClientInformationFull(
        client_id="client", redirect_uris=[REDIRECT_URI], token_endpoint_auth_method="none"
    )

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def walk(url):
    asked = {}

    async def redirect(target):
        seen.append("the browser opens the authorization endpoint")
        asked.update(parse_qsl(urlsplit(target).query))

    async def callback():
        return AuthorizationCodeResult(code="code", state=asked["state"])

    metadata = OAuthClientMetadata(redirect_uris=[REDIRECT_URI], token_endpoint_auth_method="none")
    provider = OAuthClientProvider(url, metadata, Storage(), redirect, callback)
    async with httpx2.AsyncClient(auth=provider, trust_env=False, timeout=10) as client:
        await client.post(url, json={})
        await asyncio.sleep(LIFETIME + 0.5)
        seen.append("-- the access token has ended")
        await client.post(url, json={})


logging.disable(logging.CRITICAL)
server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
threading.Thread(target=server.serve_forever, daemon=True).start()
asyncio.run(walk(f"http://127.0.0.1:{server.server_port}/mcp"))
print("mcp", importlib.metadata.version("mcp"))
print(*seen, sep="\n")
sys.exit(
    seen[seen.index("-- the access token has ended") + 1 :]
    != [
        "POST /token refresh_token: 503",
        "POST /mcp with no token",
        "the browser opens the authorization endpoint",
        "POST /token authorization_code: 200",
        "POST /mcp with Bearer access",
    ]
)
PROBE
