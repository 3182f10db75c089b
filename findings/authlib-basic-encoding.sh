#!/usr/bin/env bash
# Package:  authlib (PyPI), its OAuth 2.0 client; with httpx2 2.16.2
# Version:  1.9.10
# Seen:     2026-11-30
# Guess:    with client_secret_basic, client id and secret are each encoded as form values before they are joined and
#           go into the Authorization header (RFC 6749, 2.3.1), so that a server can take them apart and decode them.
# Happens:  they are joined as they are.
# Matters:  a secret with % or +, or a client id with a colon, is another one to a server that decodes as the RFC
#           says: invalid_client, with the right secret. Which secrets a server makes is luck, so it comes with one
#           client in some hundred, and at a rotation.
set -u
export PIP_DISABLE_PIP_VERSION_CHECK=1
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cat >"$folder/pinned.txt" <<'PINNED'
authlib==1.9.10 --hash=sha256:c62d10e1b23945c6d4c578a16170bfefe4879bd23d4be62edea494993dce70aa --hash=sha256:f7453c4a3f5975f94cc55223c4d48ff9c7d8d3b4e3d727ed2549edaeb9b85d50
httpx2==2.16.2 --hash=sha256:f05c13aade4c45dbf1c9060647a1058f0acad62398fad96e741269edb33d46f5
PINNED
"${PYTHON:-python3}" -m venv "$folder/venv" || exit 2
pip=("$folder/venv/bin/pip" install --quiet --only-binary :all:)
timeout 300 "${pip[@]}" --no-deps --require-hashes -r "$folder/pinned.txt" || exit 2
timeout 300 "${pip[@]}" authlib==1.9.10 httpx2==2.16.2 || exit 2

timeout 30 "$folder/venv/bin/python" - <<'PROBE' && exit 0 || exit 1
import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote_plus

import authlib
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

CLIENT = ("gatepost", "50%25+1")


class Server(BaseHTTPRequestHandler):
    """A token endpoint that reads the header as RFC 6749, section 2.3.1 has it."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        pair = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        is_right = tuple(unquote_plus(part) for part in pair.split(":")) == CLIENT
        body = {"access_token": "x", "token_type": "Bearer"} if is_right else {"error": "invalid_client"}
        print("the header says", pair, "which is", "right" if is_right else "another secret")
        answer = json.dumps(body).encode()
        self.send_response(200 if is_right else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Say nothing."""


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/token"
print("authlib", authlib.__version__)
with OAuth2Client(*CLIENT, token_endpoint_auth_method="client_secret_basic", trust_env=False, timeout=5) as client:
    try:
        client.fetch_token(url, grant_type="client_credentials")
    except OAuthError as error:
        print("the server says", error.error)
        sys.exit(0 if error.error == "invalid_client" else 1)
sys.exit(1)
PROBE
