"""Walk one step of the tutorial against the server that runs, and print what it answers.

python examples/steps/try_step.py 4
python examples/steps/try_step.py 6 http://127.0.0.1:8000

Steps 6 to 8 need the issuer of step 5 running too; step 9 needs the accounts that its page makes.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

SERVER = os.environ.get("SERVER", "http://127.0.0.1:8000")
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8001")
STEPS = Path(__file__).parent
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "try_step", "version": "1"}}
HEADERS = {"Accept": "application/json, text/event-stream"}
FOUND_BY_CLIENTS = "/.well-known/oauth-protected-resource/mcp"
FORBIDDEN = 403
ALL_SCOPES = "mcp:read,mcp:tools,mcp:prompts"


class Server(NamedTuple):
    """The server that is tried."""

    origin: str
    http: httpx2.Client

    def see(self, what: str, body: bytes, token: str = "") -> None:
        """Post a body, and print what comes back."""
        headers = HEADERS | {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        said = self.http.post(f"{self.origin}/mcp", content=body, headers=headers)
        print(f"{what}: {said.status_code} {summary(said)}".rstrip())

    def ask(self, what: str, method: str, token: str = "", /, **params: Any) -> None:
        """Post a request of JSON-RPC, and print what comes back."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.see(what, json.dumps(message).encode(), token)

    def get(self, url: str) -> None:
        """Get a document, and print it."""
        said = self.http.get(url if "://" in url else self.origin + url)
        print(f"GET {said.url.path}: {said.status_code} {summary(said)}")


def summary(said: httpx2.Response) -> str:
    """Return what an answer says, in a line."""
    if challenge := said.headers.get("WWW-Authenticate"):
        return refusal(said.status_code, challenge)
    if not said.content:
        return ""
    body = said.json()
    if "error" in body:
        return f"error {body['error']['code']}: {body['error']['message']}"
    return contents(body["result"] if "jsonrpc" in body else body)


def refusal(status: int, challenge: str) -> str:
    """Return what a challenge says (RFC 6750 section 3): the whole of it, or the mistake where there is one."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if "error" not in said:
        return challenge
    needed = f" It needs {said['scope']}." if status == FORBIDDEN else ""
    return f"{said['error']}: {said['error_description']}{needed}"


def contents(result: dict[str, Any]) -> str:
    """Return what a result of a method, or a document, holds."""
    for kind in ("tools", "prompts"):
        if isinstance(result.get(kind), list):
            return f"{kind}: {', '.join(one['name'] for one in result[kind]) or 'none'}"
    if "content" in result:
        mark = "error for the model: " if result.get("isError") else ""
        return f"{mark}{result['content'][0]['text']}{caller(result)}"
    if "messages" in result:
        return f"{result['messages'][0]['content']['text']}{caller(result)}"
    return json.dumps(result)


def caller(result: dict[str, Any]) -> str:
    """Return whom a result names as its caller, where it does."""
    who = result.get("_meta", {}).get("gatepost/caller")
    return f" [{who['name']}]" if who else ""


def issued(username: str, scopes: str, *options: str) -> str:
    """Return a token of the issuer of step 5."""
    script = str(STEPS / "step_5_keys.py")
    return printed(sys.executable, script, "token", "--username", username, "--scopes", scopes, *options)


def minted(username: str, scopes: str) -> str:
    """Return a token of the server of step 9."""
    return printed(sys.executable, "-m", "gatepost", "token", "mint", "--user", username, "--scopes", scopes)


def printed(*command: str) -> str:
    """Return what a command prints; a failure ends this program with what it said."""
    ran = subprocess.run(  # noqa: S603 - nothing of it comes from elsewhere
        command, capture_output=True, text=True, check=False, timeout=120
    )
    if ran.returncode:
        sys.exit(ran.stderr.strip())
    return ran.stdout.strip()


def step_1(server: Server) -> None:
    """See that the server is well, and that it has nothing to call."""
    server.get("/health")
    server.ask("tools/list", "tools/list")


def step_2(server: Server) -> None:
    """Begin as a client does, and send what is no request."""
    server.ask("initialize", "initialize", **HELLO)
    server.see("a notification", b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
    server.ask("ping", "ping")
    server.ask("tools/list", "tools/list")
    server.see("no version", b'{"id": 1, "method": "ping"}')
    server.see("no JSON", b"hello")


def step_3(server: Server) -> None:
    """List what there is; using it is not possible yet."""
    server.ask("tools/list", "tools/list")
    server.ask("prompts/list", "prompts/list")
    server.ask("tools/call echo", "tools/call", name="echo", arguments={"message": "hello"})


def step_4(server: Server) -> None:
    """Use everything, and make each mistake."""
    server.ask("echo", "tools/call", name="echo", arguments={"message": "hello"})
    server.ask("get_time", "tools/call", name="get_time", arguments={})
    server.ask("greeting", "prompts/get", name="greeting", arguments={"name": "Ada"})
    server.ask("help", "prompts/get", name="help")
    server.ask("echo without its message", "tools/call", name="echo", arguments={})
    server.ask("greeting without a name", "prompts/get", name="greeting", arguments={})
    server.ask("a tool that is not there", "tools/call", name="shout", arguments={})


def step_5(server: Server) -> None:
    """Get the documents of the issuer."""
    keys = server.http.get(f"{ISSUER}/.well-known/jwks.json").json()["keys"]
    print(f"keys: {len(keys)}; each has {', '.join(sorted(keys[0]))}")
    print(f"a token has {issued('alice', 'mcp:read,mcp:tools').count('.') + 1} parts")


def step_6(server: Server) -> None:
    """Call with a token that counts, and with others."""
    hello: dict[str, Any] = {"name": "echo", "arguments": {"message": "hello"}}
    server.ask("no token", "tools/call", **hello)
    server.ask("alice", "tools/call", issued("alice", ALL_SCOPES), **hello)
    server.ask("an expired token", "tools/call", issued("alice", ALL_SCOPES, "--lifetime", "-120"), **hello)
    elsewhere = issued("alice", ALL_SCOPES, "--audience", "http://127.0.0.1:9000/mcp")
    server.ask("a token for another server", "tools/call", elsewhere, **hello)
    claims, signature = issued("alice", ALL_SCOPES).rpartition(".")[0], issued("bob", ALL_SCOPES).rpartition(".")[2]
    server.ask("alice's claims with bob's signature", "tools/call", f"{claims}.{signature}", **hello)
    server.ask("no JWT", "tools/call", "hello", **hello)


def step_7(server: Server) -> None:
    """Go the way of a client that knows nothing but the URL."""
    server.ask("no token", "tools/list")
    server.get(FOUND_BY_CLIENTS)
    server.get(f"{ISSUER}/.well-known/oauth-authorization-server")
    server.get("/health")
    server.ask("alice", "tools/list", issued("alice", ALL_SCOPES))


def step_8(server: Server) -> None:
    """See what each person may do."""
    people = [
        ("admin", ALL_SCOPES, "admin"),
        ("alice", "mcp:read,mcp:tools", "user"),
        ("bob", "mcp:read,mcp:prompts", "user"),
        ("guest", "", "guest"),
    ]
    for username, scopes, role in people:
        print(f"{username}, whose token has {scopes or 'no scope'} and the role {role}")
        token = issued(username, scopes, "--roles", role)
        server.ask("  tools/list", "tools/list", token)
        server.ask("  echo", "tools/call", token, name="echo", arguments={"message": "hello"})
        server.ask("  get_time", "tools/call", token, name="get_time", arguments={})
        server.ask("  greeting", "prompts/get", token, name="greeting", arguments={"name": "Ada"})
        server.ask("  help", "prompts/get", token, name="help")


def step_9(server: Server) -> None:
    """Let three people ask who they are."""
    for username in ("ada", "alice", "carol"):
        token = minted(username, ALL_SCOPES)
        server.ask(f"{username}: whoami", "tools/call", token, name="whoami", arguments={})
        server.ask(f"{username}: echo", "tools/call", token, name="echo", arguments={"message": "hello"})
        server.ask(f"{username}: greeting", "prompts/get", token, name="greeting")
        server.ask(f"{username}: help", "prompts/get", token, name="help")


WALKS: dict[int, Callable[[Server], None]] = {
    1: step_1,
    2: step_2,
    3: step_3,
    4: step_4,
    5: step_5,
    6: step_6,
    7: step_7,
    8: step_8,
    9: step_9,
}


def main() -> None:
    """Read the arguments and walk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", type=int, choices=WALKS, help="the number of the step")
    parser.add_argument("origin", nargs="?", default=SERVER, help="of the server (default: %(default)s)")
    given = parser.parse_args()
    with httpx2.Client(timeout=30) as http:
        try:
            WALKS[given.step](Server(given.origin.rstrip("/"), http))
        except httpx2.ConnectError:
            sys.exit(f"Nothing answers; start the server of step {given.step} first, as its page says.")


if __name__ == "__main__":
    main()
