"""The Keycloak example, with tokens as the realm of `deploy/keycloak/realm.json` makes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples.keycloak_server import SETTINGS, roles, server
from gatepost.testing import Issuer, RunningServer

REALM = Path(__file__).resolve().parents[2] / "deploy" / "keycloak" / "realm.json"
SCOPES = "openid mcp:read mcp:tools mcp:prompts"


@pytest.mark.parametrize(
    ("role", "tools"), [("admin", ["whoami", "echo"]), ("user", ["whoami", "echo"]), ("guest", ["whoami"])]
)
async def test_roles_of_the_realm_say_what_people_may_use(role: str, tools: list[str]) -> None:
    issuer = Issuer("https://sso.example.com/realms/mcp-realm")
    claims = {"realm_access": {"roles": [role]}, "preferred_username": f"mcp-{role}"}
    async with RunningServer(server, external=issuer.external(), roles=roles, settings=SETTINGS) as running:
        token = issuer.token(running.url, "b1a1", scopes=SCOPES, claims=claims)
        async with running.client(token=token) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == tools
            said = await client.call_tool("whoami")

    assert said.structured_content == {"subject": "b1a1", "name": f"mcp-{role}", "roles": [role]}


def test_the_example_has_the_roles_and_scopes_of_the_realm() -> None:
    realm = json.loads(REALM.read_text(encoding="utf-8"))

    assert sorted(roles) == sorted(role["name"] for role in realm["roles"]["realm"])
    assert set(server.scope_descriptions) <= {scope["name"] for scope in realm["clientScopes"]}
