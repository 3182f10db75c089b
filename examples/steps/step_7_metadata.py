"""Step 7: metadata: clients find out by themselves where tokens come from, and the server where the keys are.

python examples/steps/step_7_metadata.py
"""

import os
from datetime import UTC, datetime

from gatepost import Context, ExternalIssuer, Server, run
from gatepost.configuration.settings import load_settings

server = Server(
    "step-7",
    title="Step by step",
    scopes={"mcp:read": "See the time", "mcp:tools": "Call tools", "mcp:prompts": "Use prompts"},
)


@server.tool
def echo(message: str, ctx: Context) -> str:
    """Repeat a message."""
    return f"{ctx.user.subject}: {message}"


@server.tool
def get_time() -> str:
    """Tell the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@server.prompt
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
    run(server, settings=load_settings(TOKENS_FROM_ELSEWHERE), external=ExternalIssuer(ISSUER))
