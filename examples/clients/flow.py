"""The whole flow of an MCP client by hand: discovery, registration, login, call, refresh, revocation.

python examples/clients/flow.py http://127.0.0.1:8000/mcp add '{"text": "milk"}'

Needs httpx2 alone. Whoever writes a client for others takes the official SDK; this shows what happens on the wire.
"""

import base64
import hashlib
import json
import secrets
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

REVISION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": {"name": "flow.py", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
http = httpx2.Client()


def main(endpoint: str, tool: str, arguments: str = "{}") -> None:
    """Go through the flow, and say what comes of each step."""
    server, scopes = discover(endpoint)
    with Callback() as callback:
        client_id = register(server, callback.redirect_uri)
        tokens = log_in(server, client_id, callback, resource=endpoint, scopes=scopes)
    say("tokens", f"{tokens['scope']}, for {tokens['expires_in']} seconds")
    say("call", call(endpoint, tokens["access_token"], tool, json.loads(arguments)))

    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client_id}
    tokens = read(http.post(server["token_endpoint"], data={**form, "resource": endpoint}))
    say("refresh", "another access token, and another refresh token")

    form = {"token": tokens["refresh_token"], "client_id": client_id}
    http.post(server["revocation_endpoint"], data=form).raise_for_status()
    say("revocation", f"a call is answered {ask(endpoint, tokens['access_token'], 'tools/list', {}).status_code} now")


def discover(endpoint: str) -> tuple[dict[str, Any], list[str]]:
    """Return the metadata of the endpoint's authorization server, and the scopes (RFC 9728 and RFC 8414)."""
    # 1. Without a token the endpoint says where its own metadata is.
    refused = ask(endpoint, None, "tools/list", {})
    challenge = refused.headers.get("www-authenticate", "")
    if "resource_metadata" not in challenge:
        sys.exit(f"{endpoint} is answered {refused.status_code}, and says nothing of a login (RFC 9728).")
    _, _, rest = challenge.partition('resource_metadata="')
    resource = read(http.get(rest.partition('"')[0]))
    if resource["resource"] != endpoint:
        sys.exit(f"The metadata is of {resource['resource']}, not of {endpoint}.")
    # 2. That names the authorization server, whose metadata has its endpoints.
    issuer = resource["authorization_servers"][0]
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    server = read(http.get(f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{path}"))
    if server["issuer"] != issuer:
        sys.exit(f"The metadata is of {server['issuer']}, not of {issuer}.")
    say("discovery", issuer)
    return server, resource["scopes_supported"]


def register(server: dict[str, Any], redirect_uri: str) -> str:
    """Register, and return the client id (RFC 7591)."""
    metadata = {
        "client_name": "flow.py",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }
    client_id: str = read(http.post(server["registration_endpoint"], json=metadata))["client_id"]
    say("registration", client_id)
    return client_id


def log_in(
    server: dict[str, Any], client_id: str, callback: "Callback", *, resource: str, scopes: list[str]
) -> dict[str, Any]:
    """Have a person log in and approve, and return the tokens (RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207)."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": callback.redirect_uri,
        "scope": " ".join(scopes),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": resource,
    }
    print(f"Open this in a browser:\n{server['authorization_endpoint']}?{urlencode(query)}", flush=True)
    answer = callback.wait()
    if answer.get("state") != state or answer.get("iss") != server["issuer"]:
        sys.exit("The answer is not one to this request.")
    if "code" not in answer:
        sys.exit(f"Refused: {answer.get('error')}.")
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": callback.redirect_uri,
        "code_verifier": verifier,
        "client_id": client_id,
        "resource": resource,
    }
    tokens: dict[str, Any] = read(http.post(server["token_endpoint"], data=form))
    return tokens


def call(endpoint: str, token: str, tool: str, arguments: dict[str, Any]) -> str:
    """Call a tool, and return what it says."""
    answer = read(ask(endpoint, token, "tools/call", {"name": tool, "arguments": arguments}))
    if "error" in answer:
        sys.exit(answer["error"]["message"])
    return " ".join(part.get("text", part["type"]) for part in answer["result"]["content"])


def ask(endpoint: str, token: str | None, method: str, params: dict[str, Any]) -> httpx2.Response:
    """Send one MCP request, which stands for itself: no session, no handshake."""
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": REVISION, "Mcp-Method": method}
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return http.post(endpoint, json=message, headers=headers)


def read(answer: httpx2.Response) -> Any:
    """Return the JSON of an answer; what was refused ends the program."""
    if answer.is_error:
        sys.exit(f"{answer.request.method} {answer.url.path} is answered {answer.status_code}: {answer.text}")
    if answer.headers["content-type"].startswith("text/event-stream"):  # a call that took a while
        return json.loads([line for line in answer.text.splitlines() if line.startswith("data: {")][-1][6:])
    return answer.json()


def say(step: str, words: str) -> None:
    """Print what came of a step."""
    print(f"{step}: {words}", flush=True)


class Callback(HTTPServer):
    """Listens on this machine for the one request with which the browser comes back (RFC 8252 section 7.3)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.redirect_uri = f"http://127.0.0.1:{self.server_port}/callback"
        self.answer: dict[str, str] = {}

    def wait(self) -> dict[str, str]:
        """Return the parameters."""
        while not self.answer:
            self.handle_request()
        return self.answer


class _Handler(BaseHTTPRequestHandler):
    server: Callback

    def do_GET(self) -> None:
        """Keep the parameters, and tell the person."""
        parts = urlsplit(self.path)
        if parts.path == "/callback":
            self.server.answer = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.send_response(200 if parts.path == "/callback" else 404)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"Go back to the terminal.\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class calls it
        """Say nothing: the code is in the URL."""


if __name__ == "__main__":
    if len(sys.argv) not in {3, 4}:
        sys.exit(__doc__)
    if not sys.argv[1].startswith(("http://", "https://")):
        sys.exit(f"{sys.argv[1]} is no URL: http:// or https:// is missing.")
    try:
        main(*sys.argv[1:])
    except httpx2.RequestError as error:
        sys.exit(f"{error.request.url} cannot be reached: {error}.")
