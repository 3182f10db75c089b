"""`private_key_jwt` through the whole server: each proof counts once, for this server, from this client."""

import asyncio
import json
import secrets
from typing import Any

import httpx2
import pytest

from gatepost.oauth.client_assertions import ASSERTION_TYPE
from gatepost.stores.conformance.records import client, keep_client
from gatepost.stores.sql.sqlite import memory_store
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.tokens.test_client_keys import ED, P256, RSA, encoded, public, sign

KEYED = client(
    token_endpoint_auth_method="private_key_jwt",
    secret_fingerprint=None,
    jwks=json.dumps({"keys": [public(P256, kid="1"), public(RSA)]}),
)
INVALID_CLIENT = (401, "invalid_client")
AUTHENTICATED = (400, "invalid_grant")
"""What a request with a made-up refresh token comes to once the client is known."""


def assertion(gatepost: Installed, key: Any = P256, algorithm: str = "ES256", **changes: Any) -> str:
    claims = {
        "iss": "client-1",
        "sub": "client-1",
        "aud": ORIGIN,
        "exp": gatepost.clock[0] + 60,
        "jti": secrets.token_urlsafe(8),
        **changes,
    }
    return sign(algorithm, key, {name: value for name, value in claims.items() if value is not ...})


async def ask(gatepost: Installed, signed: str, **more: str) -> tuple[int, str]:
    return told(
        await gatepost.token(
            **{
                "grant_type": "refresh_token",
                "refresh_token": "gp_rt_unknown",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": signed,
                **more,
            }
        )
    )


def told(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()["error"]


async def test_a_signed_assertion_proves_who_a_client_is() -> None:
    async with installed() as gatepost:
        await gatepost.store.clients.register_client(KEYED)
        assert await ask(gatepost, assertion(gatepost)) == AUTHENTICATED
        assert await ask(gatepost, assertion(gatepost, RSA, "PS256"), client_id="client-1") == AUTHENTICATED
        assert await ask(gatepost, assertion(gatepost, aud=f"{ORIGIN}/oauth/token")) == AUTHENTICATED
        assert await ask(gatepost, assertion(gatepost, aud=f"{ORIGIN}/")) == AUTHENTICATED


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"aud": ...},
        {"aud": f"{ORIGIN}/mcp"},
        {"exp": ...},
        {"exp": 1},
        {"jti": ...},
        {"iss": "client-2"},
        {"sub": "client-2"},
    ],
)
async def test_one_with_a_wrong_claim_does_not(changes: dict[str, Any]) -> None:
    async with installed() as gatepost:
        await gatepost.store.clients.register_client(KEYED)
        assert await ask(gatepost, assertion(gatepost, **changes)) == INVALID_CLIENT


async def test_neither_does_one_without_a_signature_or_with_anothers() -> None:
    async with installed() as gatepost:
        await gatepost.store.clients.register_client(KEYED)
        good = assertion(gatepost)
        _, body, signature = good.split(".")
        for bad in (
            f"{encoded({'alg': 'none'})}.{body}.{signature}",
            f"{encoded({'alg': 'HS256'})}.{body}.{signature}",
            f"{encoded({'alg': 'ES256', 'kid': 'unknown'})}.{body}.{signature}",
            assertion(gatepost, ED, "EdDSA"),
            good[:-8] + "AAAAAAAA",
        ):
            assert await ask(gatepost, bad) == INVALID_CLIENT
        assert await ask(gatepost, good) == AUTHENTICATED, "the bad ones used nothing up"


async def test_an_assertion_counts_once_on_any_replica() -> None:
    store = memory_store()
    await store.clients.register_client(KEYED)
    async with installed(store=store) as first, installed(store=store) as second:
        signed = assertion(first)
        answers = await asyncio.gather(*(ask(replica, signed) for replica in (first, second) * 10))
        assert sorted(answers) == [AUTHENTICATED] + [INVALID_CLIENT] * 19
        first.clock[0] += 119
        assert await ask(first, signed) == INVALID_CLIENT
        first.clock[0] += 10_000
        assert await ask(first, signed) == INVALID_CLIENT


async def test_a_client_with_keys_cannot_do_without_them() -> None:
    async with installed() as gatepost:
        await gatepost.store.clients.register_client(KEYED)
        plain = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "client-1"}
        assert told(await gatepost.token(**plain)) == INVALID_CLIENT
        assert told(await gatepost.token(**plain, client_secret="x")) == INVALID_CLIENT


async def test_a_client_without_keys_cannot_use_an_assertion() -> None:
    async with installed() as gatepost:
        for method in ("none", "client_secret_post"):
            await keep_client(gatepost.store, client(token_endpoint_auth_method=method, jwks=KEYED.jwks))
            assert await ask(gatepost, assertion(gatepost)) == INVALID_CLIENT


async def test_two_proofs_at_once_are_refused() -> None:
    async with installed() as gatepost:
        await gatepost.store.clients.register_client(KEYED)
        status, error = await ask(gatepost, assertion(gatepost), client_secret="x")
        assert (status, error) == (400, "invalid_request")
        assert await ask(gatepost, assertion(gatepost), client_id="client-2") == INVALID_CLIENT
        assert await ask(gatepost, assertion(gatepost), client_assertion_type="urn:other") == INVALID_CLIENT


async def test_a_disabled_client_is_refused_whatever_it_proves() -> None:
    async with installed() as gatepost:
        await gatepost.store.clients.register_client(KEYED)
        await gatepost.store.clients.disable_client("client-1", now=gatepost.clock[0])
        assert await ask(gatepost, assertion(gatepost)) == INVALID_CLIENT


async def test_revocation_takes_assertions_too() -> None:
    async with installed() as gatepost:
        await gatepost.store.clients.register_client(KEYED)
        form = {"token": "unknown", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion(gatepost)}
        assert (await gatepost.http.post("/oauth/revoke", data=form)).status_code == 200
        assert (await gatepost.http.post("/oauth/revoke", data=form)).status_code == 401


async def test_a_registration_with_keys_is_echoed() -> None:
    async with installed() as gatepost:
        metadata = {
            "redirect_uris": ["https://app.example/cb"],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [public(P256)]},
        }
        answer = (await gatepost.http.post("/oauth/register", json=metadata)).json()
        assert answer["jwks"] == metadata["jwks"]
        assert answer["token_endpoint_auth_method"] == "private_key_jwt"
        assert "client_secret" not in answer
