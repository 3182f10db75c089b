"""A server that takes the tokens of a Keycloak: people, clients and consent are there, tools and scopes here.

KEYCLOAK_REALM=http://127.0.0.1:8080/realms/mcp-realm python examples/keycloak_server.py
"""

import os
import sys

from gatepost import Context, ExternalIssuer, Role, Server, run
from gatepost.configuration.settings import load_settings

server = Server(
    "keycloak",
    title="Behind Keycloak",
    scopes={"mcp:read": "See who you are here", "mcp:tools": "Call tools", "mcp:prompts": "Use prompts"},
)
# Those of the realm, as deploy/keycloak/realm.json has them; a mistake in one of the two places is not enough.
roles = {
    "admin": Role(scopes="*"),
    "user": Role(scopes="mcp:read mcp:tools mcp:prompts"),
    "guest": Role(scopes="mcp:read"),
}


@server.tool(scopes=["mcp:read"], annotations={"readOnlyHint": True})
def whoami(ctx: Context) -> dict[str, object]:
    """Say who calls, and in which roles."""
    return {"subject": ctx.user.subject, "name": ctx.user.name, "roles": sorted(ctx.user.roles)}


@server.tool(scopes=["mcp:tools"])
def echo(text: str) -> str:
    """Say the same."""
    return text


@server.prompt(scopes=["mcp:prompts"])
def greeting(name: str) -> str:
    """Greet somebody."""
    return f"Greet {name} in a friendly sentence."


SETTINGS = {"OAUTH_ENABLE_AS": "false"}
"""Keycloak issues the tokens, and nothing here does."""

if __name__ == "__main__":
    realm = os.environ.get("KEYCLOAK_REALM")
    if not realm:
        sys.exit("Set KEYCLOAK_REALM to the realm's URL, such as http://127.0.0.1:8080/realms/mcp-realm.")
    run(server, settings=load_settings(SETTINGS), roles=roles, external=ExternalIssuer(realm))
