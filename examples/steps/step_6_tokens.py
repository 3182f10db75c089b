"""Step 6: the tools of step 4 as functions, behind a lock: a call needs a JWT that the issuer of step 5 signed.

python examples/steps/step_6_tokens.py
"""

import os
from datetime import UTC, datetime

from gatepost import Context, ExternalIssuer, Server, run
from gatepost.configuration.settings import load_settings

server = Server("step-6")


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
"""The built-in authorization server stays off: the issuer of step 5 is the only one whose tokens count."""

if __name__ == "__main__":
    issuer = ExternalIssuer(ISSUER, jwks_uri=f"{ISSUER}/.well-known/jwks.json")
    run(server, settings=load_settings(TOKENS_FROM_ELSEWHERE), external=issuer)
