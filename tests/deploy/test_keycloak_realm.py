"""Tokens as `deploy/keycloak/realm.json` shapes them open the server that `deploy/compose/keycloak.yml` configures.

What Keycloak makes of a realm is worked out here from the mappers that the file assigns; no Keycloak runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from gatepost import ExternalIssuer, create_app
from gatepost.configuration.loading import load_target
from tests.deploy.manifests import DEPLOY, compose, of_the_image, with_secrets

NAMES = {"MCP_NAME": "mcp.example.com", "SSO_NAME": "sso.example.com"}
ENVIRONMENT: dict[str, str] = compose("keycloak", NAMES)["services"]["gatepost"]["environment"]
KEYCLOAK: dict[str, str] = compose("keycloak", NAMES)["services"]["keycloak"]["environment"]
REALM = json.loads(
    (DEPLOY / "keycloak" / "realm.json").read_text().replace("${MCP_RESOURCE}", KEYCLOAK["MCP_RESOURCE"])
)
ISSUER = ENVIRONMENT["OAUTH_ISSUER"]
ALL = ["mcp:read", "mcp:tools", "mcp:prompts"]


def named(things: list[dict[str, Any]], key: str, name: str) -> dict[str, Any]:
    (found,) = (thing for thing in things if thing[key] == name)
    return found


def granted(user: dict[str, Any], client: dict[str, Any], asked: list[str]) -> list[dict[str, Any]]:
    """The client scopes that a login gives: the default ones, and those asked for that the person's roles permit."""
    permitted = {mapping["clientScope"]: set(mapping["roles"]) for mapping in REALM["scopeMappings"]}
    optional = [name for name in client["optionalClientScopes"] if name in asked]
    names = [name for name in optional if permitted.get(name, set(user["realmRoles"])) & set(user["realmRoles"])]
    return [named(REALM["clientScopes"], "name", name) for name in (*client["defaultClientScopes"], *names)]


def put(claims: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        claims = claims.setdefault(parent, {})
    claims[last] = value


def mapped(mapper: dict[str, Any], user: dict[str, Any], claims: dict[str, Any]) -> None:
    """Do what one protocol mapper does to an access token."""
    config = mapper["config"]
    assert config.pop("access.token.claim", "true") == "true"
    match mapper["protocolMapper"]:
        case "oidc-sub-mapper":
            claims["sub"] = f"id-of-{user['username']}"
        case "oidc-audience-mapper":
            claims["aud"] = [config["included.custom.audience"]]
        case "oidc-usermodel-realm-role-mapper":
            put(claims, config["claim.name"], [*user["realmRoles"], "default-roles-mcp-realm"])
        case "oidc-usermodel-attribute-mapper":
            put(claims, config["claim.name"], user[config["user.attribute"]])
        case "oidc-full-name-mapper":
            claims["name"] = f"{user['firstName']} {user['lastName']}"
        case "oidc-usersessionmodel-note-mapper":
            put(claims, config["claim.name"], int(time.time()))
        case unknown:
            raise AssertionError(unknown)


def claims_of(username: str, asked: list[str], client_id: str = "mcp-client") -> dict[str, Any]:
    """The claims of the access token that the realm gives this person's client."""
    user = named(REALM["users"], "username", username)
    client = named(REALM["clients"], "clientId", client_id)
    scopes = granted(user, client, asked)
    now = int(time.time())
    claims: dict[str, Any] = {
        "exp": now + REALM["accessTokenLifespan"],
        "iat": now,
        "jti": "onrtac:1",
        "iss": f"{KEYCLOAK['KC_HOSTNAME']}/realms/{REALM['realm']}",
        "typ": "Bearer",
        "azp": client_id,
        "sid": "session",
        "scope": " ".join(s["name"] for s in scopes if s["attributes"]["include.in.token.scope"] == "true"),
    }
    for scope in scopes:
        for mapper in scope.get("protocolMappers", []):
            mapped({**mapper, "config": dict(mapper["config"])}, user, claims)
    return claims


@pytest.fixture(scope="module")
def key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "realm-key", "alg": REALM["defaultSignatureAlgorithm"]})


@pytest.fixture
def public_key(key: RSAKey, tmp_path: Path) -> Path:
    file = tmp_path / "realm.pem"
    file.write_bytes(key.as_pem(private=False))
    return file


@pytest.fixture
def _settings(tmp_path: Path) -> Iterator[None]:
    settings = {**of_the_image(), **ENVIRONMENT, "OAUTH_STORAGE_DIR": str(tmp_path / "data")}
    del settings["OAUTH_ISSUER"]  # given in code below, with its key: nothing is fetched
    with pytest.MonkeyPatch.context() as patch:
        for name, value in with_secrets(settings, tmp_path).items():
            patch.setenv(name, value)
        yield


@asynccontextmanager
async def connected(public_key: Path) -> AsyncIterator[httpx2.AsyncClient]:
    target = load_target(f"{DEPLOY / 'keycloak' / 'server.py'}:server")
    app = create_app(target, external=[ExternalIssuer(ISSUER, public_key=public_key)])
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=ENVIRONMENT["MCP_PUBLIC_URL"]) as http,
    ):
        yield http


async def ask(http: httpx2.AsyncClient, token: str, method: str, **params: object) -> httpx2.Response:
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return await http.post("/mcp", json=message, headers={**headers, "MCP-Protocol-Version": "2025-11-25"})


def signed(key: RSAKey, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "realm-key", "typ": "JWT"}, claims, key)


@pytest.mark.usefixtures("_settings")
@pytest.mark.parametrize(
    ("username", "tools"),
    [
        ("mcp-admin", ["whoami", "echo", "get_time"]),
        ("mcp-user", ["whoami", "echo", "get_time"]),
        ("mcp-guest", ["whoami"]),
    ],
)
async def test_each_role_of_the_realm_is_shown_what_it_may_use(
    username: str, tools: list[str], key: RSAKey, public_key: Path
) -> None:
    token = signed(key, claims_of(username, ALL))
    async with connected(public_key) as http:
        listed = (await ask(http, token, "tools/list")).json()["result"]["tools"]
        said = (await ask(http, token, "tools/call", name="whoami", arguments={})).json()["result"]
    role = username.removeprefix("mcp-")
    assert [tool["name"] for tool in listed] == tools
    assert said["structuredContent"] == {
        "subject": f"id-of-{username}",
        "name": f"{role.capitalize()} Example",
        "roles": sorted(["default-roles-mcp-realm", role]),
    }


@pytest.mark.usefixtures("_settings")
async def test_a_client_of_the_realm_that_asked_for_less_is_told_what_it_lacks(key: RSAKey, public_key: Path) -> None:
    token = signed(key, claims_of("mcp-user", ["mcp:read"]))
    async with connected(public_key) as http:
        refused = await ask(http, token, "tools/call", name="echo", arguments={"text": "hello"})
    assert refused.status_code == 403
    assert 'scope="mcp:tools"' in refused.headers["www-authenticate"]


@pytest.mark.usefixtures("_settings")
async def test_a_token_of_the_realm_without_the_audience_mapper_is_refused(key: RSAKey, public_key: Path) -> None:
    claims = {**claims_of("mcp-admin", ALL), "aud": ["account"]}
    async with connected(public_key) as http:
        refused = await ask(http, signed(key, claims), "tools/list")
    assert refused.status_code == 401


def test_the_issuer_that_is_configured_is_the_one_that_keycloak_says() -> None:
    assert claims_of("mcp-admin", [])["iss"] == ISSUER


def test_a_role_of_the_realm_may_do_no_more_there_than_here() -> None:
    """`OAUTH_ROLE_…_SCOPES` and the scope mappings of the realm say the same."""
    there = {
        role["name"]: [mapping["clientScope"] for mapping in REALM["scopeMappings"] if role["name"] in mapping["roles"]]
        for role in REALM["roles"]["realm"]
    }
    assert there == {role: ENVIRONMENT[f"OAUTH_ROLE_{role.upper()}_SCOPES"].split() for role in there}


def test_the_realm_file_holds_no_password_and_no_secret() -> None:
    assert [user["username"] for user in REALM["users"] if "credentials" in user] == []
    assert [user for user in REALM["users"] if user["requiredActions"] != ["UPDATE_PASSWORD"]] == []
    assert [client["clientId"] for client in REALM["clients"] if "secret" in client] == []


def test_tokens_by_a_password_are_switched_off_in_the_realm() -> None:
    by_password = [client for client in REALM["clients"] if client["directAccessGrantsEnabled"]]
    assert [(client["clientId"], client["enabled"]) for client in by_password] == [("mcp-test-client", False)]


def test_each_client_of_the_realm_has_scopes_that_the_realm_has() -> None:
    """A realm file with scopes of its own gets none of the built-in ones."""
    known = {scope["name"] for scope in REALM["clientScopes"]}
    for client in REALM["clients"]:
        assert {*client["defaultClientScopes"], *client["optionalClientScopes"]} <= known
    assert {*REALM["defaultDefaultClientScopes"], *REALM["defaultOptionalClientScopes"]} == known
