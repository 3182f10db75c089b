#!/usr/bin/env bash
# Package:  @openai/codex (npm); Linux on x86-64
# Version:  0.171.0
# Seen:     2026-11-30
# Guess:    an access token of 20 seconds is used for most of that time and then refreshed once; at worst, a client
#           with a margin refreshes once before each request.
# Happens:  what has less than about 30 seconds left counts as ended, also when it was just issued. Before most
#           requests to the MCP server there are two refreshes, one after the other, and the token of the first is
#           never used. With a token of 120 seconds there is none.
# Matters:  short tokens, in a test of refreshing or by a strict policy, look like a client gone mad: a dozen
#           refreshes within two seconds, each with a new refresh token, which soon meets a limit of the token
#           endpoint.
set -u
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "only for Linux on x86-64"; exit 2; }
alone=(timeout 90 unshare --net --map-root-user) # loopback alone: codex would look for its vendor's servers
"${alone[@]}" ip link set lo up || { echo "needs unshare, ip and the right to make a network namespace"; exit 2; }
cat >package.json <<'PACKAGE'
{"private": true, "dependencies": {"@openai/codex": "0.171.0"}}
PACKAGE
timeout 400 npm install --ignore-scripts --no-audit --no-fund --loglevel=error || exit 2
cat >hashes.mjs <<'HASHES'
import { readFileSync } from "node:fs";
const { packages } = JSON.parse(readFileSync("node_modules/.package-lock.json"));
const expected = {
  codex: "sha512-1IOFzL2Xg86tLdw6kDo3GoKbkQENgQi7TI6rlEvN132R7ngSw7SNOIQoTcnKzSZZ8kf9N9GynCweSoaFbqk2Eg==",
  "codex-linux-x64": "sha512-l66NZkQgdk2C3pbcfULDz42yEUB581MVA6I+Y43Wp4OIqEy73HCdmZ0GTjeAHY2ycuH4N00d9VsLrwT1jxshTw==",
};
const installed = (name) => packages[`node_modules/@openai/${name}`].integrity;
process.exit(Object.keys(expected).every((name) => installed(name) === expected[name]) ? 0 : 1);
HASHES
node hashes.mjs || exit 2

cat >probe.py <<'PROBE'
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

CODEX = ["node", str(Path("node_modules/@openai/codex/bin/codex.js").resolve())]
RESULTS = {
    "tools/list": {"tools": [{"name": "hello", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "hello"}]},
}
VISIT = "import sys, urllib.request as request; request.urlopen(sys.argv[1]).read()"
BROWSER = f'#!/bin/sh\nexec "{sys.executable}" -c "{VISIT}" "$1"\n'


class Stub(BaseHTTPRequestHandler):
    """MCP endpoint and authorization server; each refresh token counts once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        base, url = self.server.base, urlsplit(self.path)
        if url.path.startswith("/.well-known/oauth-protected-resource"):
            self.answer(200, {"resource": f"{base}/mcp", "authorization_servers": [base]})
        elif url.path == "/.well-known/oauth-authorization-server":
            names = {"authorization": "authorize", "token": "token", "registration": "register"}
            endpoints = {f"{name}_endpoint": f"{base}/{path}" for name, path in names.items()}
            lists = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
            self.answer(200, {"issuer": base, "token_endpoint_auth_methods_supported": ["none"], **endpoints, **lists})
        elif url.path == "/authorize":
            asked = dict(parse_qsl(url.query))
            back = urlencode({"code": "code", "state": asked["state"]})
            self.answer(302, {}, [("Location", f"{asked['redirect_uri']}?{back}")])
        else:
            self.answer(405 if self.token_counts() else 401, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/register":
            self.answer(201, {**json.loads(body), "client_id": "client"})
        elif self.path == "/token":
            self.give(dict(parse_qsl(body)))
        elif self.token_counts():
            self.serve(json.loads(body))
        else:
            self.answer(401, {})

    def give(self, form):
        with self.server.lock:
            number = len(self.server.issued)
            if form["grant_type"] == "refresh_token" and form["refresh_token"] != f"refresh-{number - 1}":
                return self.answer(400, {"error": "invalid_grant"})
            self.server.issued.append(time.monotonic())
        self.server.seen.append(form["grant_type"])
        token = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "token_type": "Bearer"}
        return self.answer(200, {**token, "expires_in": self.server.lifetime})

    def token_counts(self):
        number = self.headers.get("Authorization", "").rpartition("-")[2]
        return number.isdigit() and time.monotonic() < self.server.issued[int(number)] + self.server.lifetime

    def serve(self, message):
        self.server.seen.append(f"MCP {message['method']}")
        if "id" not in message:
            return self.answer(202, None)
        server = {"capabilities": {"tools": {}}, "serverInfo": {"name": "stub", "version": "1"}}
        hello = {"protocolVersion": message["params"].get("protocolVersion"), **server}
        result = {**RESULTS, "initialize": hello}.get(message["method"])
        outcome = {"result": result} if result else {"error": {"code": -32601, "message": "not here"}}
        return self.answer(200, {"jsonrpc": "2.0", "id": message["id"], **outcome})

    def answer(self, status, content, fields=()):
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *fields):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def called(lifetime):
    """Log in, start codex's app server, and call a tool three times in a row; return what the stub saw."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    server.base, server.lifetime = f"http://127.0.0.1:{server.server_port}", lifetime
    server.issued, server.seen, server.lock = [], [], threading.Lock()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = Path(f"home-{lifetime}").resolve()
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "config.toml").write_text('mcp_oauth_credentials_store = "file"\n')
    for name in ("browser", "xdg-open"):
        (home / name).write_text(BROWSER)
        (home / name).chmod(0o700)
    environment = {"HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}", "BROWSER": str(home / "browser")}
    options = {"cwd": home, "env": environment, "stderr": subprocess.DEVNULL, "text": True}
    login = [*CODEX, "mcp", "add", "demo", "--url", f"{server.base}/mcp"]
    subprocess.run(login, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=30, **options)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([*CODEX, "app-server"], **pipes, **options) as program:
        try:
            client = {"clientInfo": {"name": "probe", "version": "1"}, "capabilities": {"experimentalApi": True}}
            ask(program, "initialize", client)
            program.stdin.write('{"jsonrpc": "2.0", "method": "initialized"}\n')
            thread = ask(program, "thread/start", {})["thread"]["id"]
            wanted = {"threadId": thread, "server": "demo", "tool": "hello", "arguments": {}}
            for _ in range(3):
                ask(program, "mcpServer/tool/call", wanted)
        finally:
            program.terminate()
    return server.seen


def ask(program, method, params):
    program.stdin.write(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params}) + "\n")
    program.stdin.flush()
    for line in program.stdout:
        message = json.loads(line)
        if message.get("id") == method and "method" not in message:
            return message["result"]
    raise EOFError


print(subprocess.run([*CODEX, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout.strip())
counts = {}
for lifetime in (20, 120):
    start = time.monotonic()
    seen = called(lifetime)
    counts[lifetime] = (seen.count("refresh_token"), sum(line.startswith("MCP") for line in seen))
    print(f"access tokens of {lifetime} s, in {time.monotonic() - start:.1f} s:", ", ".join(seen))
    print("refreshes: {}, MCP requests: {}".format(*counts[lifetime]))
(short, requests), (long, _) = counts[20], counts[120]
sys.exit(not (short > requests >= 3 and long == 0))
PROBE
"${alone[@]}" sh -c "ip link set lo up && exec '${PYTHON:-python3}' probe.py" && exit 0 || exit 1
