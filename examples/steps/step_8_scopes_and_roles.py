"""Step 8: scopes say what an app may do, roles say what a person may do; a call needs both.

python examples/steps/step_8_scopes_and_roles.py
"""

import os
from datetime import UTC, datetime

from gatepost import Context, ExternalIssuer, Role, Server, run
from gatepost.configuration.settings import load_settings

server = Server(
    "step-8",
    title="Step by step",
    scopes={"mcp:read": "See the time", "mcp:tools": "Call tools", "mcp:prompts": "Use prompts"},
)
roles = {
    "admin": Role(scopes="*"),
    "user": Role(scopes=["mcp:read", "mcp:tools"]),
    "guest": Role(scopes=["mcp:read"]),
}


@server.tool(scopes=["mcp:tools"])
def echo(message: str, ctx: Context) -> str:
    """Repeat a message."""
    return f"{ctx.user.subject}: {message}"


@server.tool(scopes=["mcp:read"])
def get_time() -> str:
    """Tell the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@server.prompt(scopes=["mcp:prompts"])
def greeting(name: str) -> str:
    """Greet somebody."""
    return f"Greet {name} in one friendly sentence."


@server.prompt(name="help")
def help_text() -> str:
    """Say what this server does."""
    return "Say what the tools of this server do, in two sentences."


ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8001")
TOKENS_FROM_ELSEWHERE = {"OAUTH_ENABLE_AS": "false"}

if __name__ == "__main__":
    run(server, settings=load_settings(TOKENS_FROM_ELSEWHERE), roles=roles, external=ExternalIssuer(ISSUER))
