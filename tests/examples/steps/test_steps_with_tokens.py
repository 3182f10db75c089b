"""Steps 5 to 8 of the tutorial: an issuer of one's own, and a server that takes its tokens, scopes and roles."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from examples.steps import step_5_keys, step_6_tokens, step_7_metadata, step_8_scopes_and_roles
from gatepost import ExternalIssuer, Server
from gatepost.testing import RunningServer

ALL_SCOPES = "mcp:read,mcp:tools,mcp:prompts"


@pytest.fixture
def key(tmp_path: Path) -> RSAKey:
    """The key pair of the issuer."""
    return step_5_keys.private_key(tmp_path / "data" / "issuer-key.pem")


@asynccontextmanager
async def guarded(server: Server, key: RSAKey, **options: Any) -> AsyncIterator[tuple[RunningServer, RSAKey]]:
    """Serve a step as its program does, with the public keys of the issuer of step 5 beside it."""
    issuer = ExternalIssuer(step_5_keys.ISSUER, public_key=json.dumps(step_5_keys.key_set(key)))
    settings = step_6_tokens.TOKENS_FROM_ELSEWHERE
    async with RunningServer(server, external=issuer, settings=settings, **options) as running:
        yield running, key


async def post(running: RunningServer, token: str | None, method: str, **params: Any) -> httpx2.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"Accept": "application/json, text/event-stream"}
    return await running.http(token).post("/mcp", json=message, headers=headers)


async def echoed(running: RunningServer, token: str | None) -> httpx2.Response:
    return await post(running, token, "tools/call", name="echo", arguments={"message": "hello"})


def test_the_private_key_of_step_5_is_made_once_and_is_its_user_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "issuer-key.pem"

    first, again = step_5_keys.private_key(path), step_5_keys.private_key(path)

    assert first.as_dict(private=True) == again.as_dict(private=True)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)


async def test_step_5_of_the_tutorial_publishes_public_keys_that_verify_its_tokens(key: RSAKey) -> None:
    transport = httpx2.ASGITransport(step_5_keys.application(key))
    async with httpx2.AsyncClient(transport=transport, base_url=step_5_keys.ISSUER) as http:
        published = (await http.get("/.well-known/jwks.json")).json()
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()

    assert sorted(published["keys"][0]) == ["alg", "e", "kid", "kty", "n", "use"]  # and no private member, such as d
    assert metadata == {
        "issuer": "http://127.0.0.1:8001",
        "jwks_uri": "http://127.0.0.1:8001/.well-known/jwks.json",
        "response_types_supported": [],
    }
    verified = jwt.decode(
        step_5_keys.token(key, "alice", "mcp:read,mcp:tools", roles="user"), KeySet.import_key_set(published)
    )
    assert verified.header == {"alg": "RS256", "typ": "at+jwt", "kid": published["keys"][0]["kid"]}
    claims = dict(verified.claims)
    assert claims.pop("exp") - claims.pop("iat") == 3600
    assert claims.pop("jti")
    assert claims == {
        "iss": "http://127.0.0.1:8001",
        "sub": "alice",
        "aud": "http://127.0.0.1:8000/mcp",
        "client_id": "tutorial",
        "scope": "mcp:read mcp:tools",
        "roles": ["user"],
    }


async def test_step_6_of_the_tutorial_lets_in_whoever_has_a_token_of_the_issuer(key: RSAKey) -> None:
    async with guarded(step_6_tokens.server, key) as (running, _):
        said = await echoed(running, step_5_keys.token(key, "alice", ALL_SCOPES, audience=running.url))

    assert (said.status_code, said.json()["result"]["content"]) == (200, [{"type": "text", "text": "alice: hello"}])


async def test_step_6_of_the_tutorial_says_what_is_wrong_with_each_other_token(key: RSAKey, tmp_path: Path) -> None:
    async with guarded(step_6_tokens.server, key) as (running, _):
        url = running.url
        stranger = step_5_keys.private_key(tmp_path / "stranger.pem")
        good = step_5_keys.token(key, "alice", ALL_SCOPES, audience=url)
        other = step_5_keys.token(key, "bob", ALL_SCOPES, audience=url)
        wrong = {
            "an expired one": step_5_keys.token(key, "alice", ALL_SCOPES, audience=url, lifetime=-120),
            "for another server": step_5_keys.token(key, "alice", ALL_SCOPES, audience="http://127.0.0.1:9000/mcp"),
            "the signature of another": f"{good.rpartition('.')[0]}.{other.rpartition('.')[2]}",
            "the key of a stranger": step_5_keys.token(stranger, "alice", ALL_SCOPES, audience=url),
            "no JWT": "hello",
        }
        missing = await echoed(running, None)
        said = {name: await echoed(running, token) for name, token in wrong.items()}

    assert (missing.status_code, "error=" in missing.headers["WWW-Authenticate"]) == (401, False)
    assert {name: (one.status_code, described(one)) for name, one in said.items()} == {
        "an expired one": (401, "The access token has expired."),
        "for another server": (401, "The access token was issued for another resource."),
        "the signature of another": (401, "The access token's signature is wrong."),
        "the key of a stranger": (401, "The access token is signed with an unknown key."),
        "no JWT": (401, "The access token is unknown or has expired."),
    }


def described(said: httpx2.Response) -> str:
    """Return what a challenge says of the mistake."""
    return said.headers["WWW-Authenticate"].partition('error_description="')[2].partition('"')[0]


async def test_step_7_of_the_tutorial_tells_clients_where_tokens_come_from(key: RSAKey) -> None:
    async with guarded(step_7_metadata.server, key) as (running, _):
        refused = await echoed(running, None)
        where = f"{running.origin}/.well-known/oauth-protected-resource/mcp"
        assert refused.headers["WWW-Authenticate"] == (
            f'Bearer resource_metadata="{where}", scope="mcp:read mcp:tools mcp:prompts"'
        )
        metadata = await running.http().get(where)

    assert metadata.json() == {
        "resource": running.url,
        "authorization_servers": ["http://127.0.0.1:8001"],
        "scopes_supported": ["mcp:read", "mcp:tools", "mcp:prompts"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Step by step",
    }


@pytest.mark.parametrize(
    ("role", "scopes", "tools", "statuses"),
    [
        ("admin", ALL_SCOPES, ["echo", "get_time"], [200, 200, 200, 200]),
        ("user", ALL_SCOPES, ["echo", "get_time"], [200, 200, 403, 200]),
        ("user", "mcp:read,mcp:prompts", ["get_time"], [403, 200, 403, 200]),
        ("guest", ALL_SCOPES, ["get_time"], [403, 200, 403, 200]),
        ("guest", "", [], [403, 403, 403, 200]),
        ("", ALL_SCOPES, [], [403, 403, 403, 200]),
    ],
)
async def test_step_8_of_the_tutorial_asks_for_the_scope_and_for_the_role(
    key: RSAKey, role: str, scopes: str, tools: list[str], statuses: list[int]
) -> None:
    async with guarded(step_8_scopes_and_roles.server, key, roles=step_8_scopes_and_roles.roles) as (running, _):
        token = step_5_keys.token(key, "somebody", scopes, roles=role, audience=running.url)
        listed = (await post(running, token, "tools/list")).json()["result"]["tools"]
        said = [
            await echoed(running, token),
            await post(running, token, "tools/call", name="get_time", arguments={}),
            await post(running, token, "prompts/get", name="greeting", arguments={"name": "Ada"}),
            await post(running, token, "prompts/get", name="help"),
        ]

    assert ([tool["name"] for tool in listed], [one.status_code for one in said]) == (tools, statuses)


async def test_step_8_of_the_tutorial_names_the_scope_that_is_lacking(key: RSAKey) -> None:
    async with guarded(step_8_scopes_and_roles.server, key, roles=step_8_scopes_and_roles.roles) as (running, _):
        token = step_5_keys.token(key, "guest", "", roles="guest", audience=running.url)
        refused = await echoed(running, token)

    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert refused.headers["WWW-Authenticate"].endswith('scope="mcp:tools"')
