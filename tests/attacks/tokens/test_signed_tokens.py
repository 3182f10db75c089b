"""Signed access tokens at the MCP endpoint (security.md rows 28, 29, 31): strict, without a fetch, revocable."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest

from gatepost.oauth.issuing import SIGNED_TOKEN_TYPE
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.resource.principal import Principal
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.contract.store import Store
from gatepost.stores.signed_tokens import SignedTokens
from gatepost.stores.signing_keys import PUBLISHED_FIRST, RELOAD_AFTER, SigningKeys, sealed_signing_key
from gatepost.tokens.sealing import KeyRing
from gatepost.tokens.signing import SigningKey, generate_signing_key, sign, verify
from gatepost.web.oauth.jwks import JwksEndpoint
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.refused import BearerRefused
from tests.web.oauth.token_harness import ISSUER, MAIL, NOTES, Answer, Harness, refusal, token_harness

RING = KeyRing(["ring-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"])


@dataclass
class World:
    """Token endpoint, keys and the guards of two resources over one store."""

    harness: Harness
    keys: SigningKeys
    signed: SignedTokens
    notes: BearerGuard
    mail: BearerGuard

    async def begin(self, **changes: Any) -> tuple[Client, Answer]:
        client = await self.harness.register(**changes)
        return client, await self.harness.begin(client)

    async def key(self) -> SigningKey:
        return (await self.keys.current()).signing(now=self.harness.now)

    async def claims(self, token: str) -> dict[str, Any]:
        return verify(token, (await self.keys.current()).keys, typ=SIGNED_TOKEN_TYPE)

    async def use(self, token: str, guard: BearerGuard | None = None) -> Principal:
        return await (guard or self.notes).verify([(b"authorization", f"Bearer {token}".encode())], b"")

    async def refused(self, token: str, guard: BearerGuard | None = None) -> Reason:
        with pytest.raises(BearerRefused) as refused:
            await self.use(token, guard)
        assert refused.value.status == 401
        assert 'error="invalid_token"' in refused.value.www_authenticate
        return refused.value.reason

    async def rotate(self, *, signs_in: int) -> SealedSigningKey:
        now = self.harness.now
        key = generate_signing_key("EdDSA", secrets.token_bytes)
        row = sealed_signing_key(key, RING, now=now, signs_from=now + signs_in, random_bytes=secrets.token_bytes)
        await self.harness.store.keys.rotate_signing_key(row, others_end_at=row.signs_from + RELOAD_AFTER + 3600)
        return row


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    def now() -> int:
        return harness.now

    keys = SigningKeys(store=store.keys, ring=RING, algorithm="ES256", now=now, random_bytes=secrets.token_bytes)
    signed = SignedTokens(keys=keys, issuer=ISSUER)
    async with token_harness(store, signer=signed.signer) as harness:
        await keys.open()
        harness.app.add(JwksEndpoint(keys=keys).routes())
        notes, mail = (
            BearerGuard(grants=store.grants, resource=resource, issuer=ISSUER, now=now, signed_tokens=signed)
            for resource in (NOTES, MAIL)
        )
        yield World(harness, keys, signed, notes, mail)


async def published(world: World) -> list[str]:
    response = await world.harness.http.get("/oauth/jwks")
    assert response.headers["cache-control"] == "public, max-age=300"
    body = response.json()
    assert all("d" not in key for key in body["keys"])
    return [key["kid"] for key in body["keys"]]


async def test_a_token_says_what_rfc_9068_asks_for_and_counts(world: World) -> None:
    client, tokens = await world.begin()
    claims = await world.claims(tokens["access_token"])
    now = world.harness.now
    assert claims == {
        "iss": ISSUER,
        "sub": "user-1",
        "aud": NOTES.identifier,
        "client_id": client.client_id,
        "scope": "notes:read notes:write",
        "jti": claims["jti"],
        "iat": now,
        "exp": now + 3600,
        "grant_id": claims["grant_id"],
    }
    principal = await world.use(tokens["access_token"])
    assert (principal.subject, principal.scopes) == ("user-1", frozenset({"notes:read", "notes:write"}))
    assert principal.grant_id == claims["grant_id"]
    refreshed = (await world.harness.refresh(client, tokens["refresh_token"])).json()
    assert (await world.claims(refreshed["access_token"]))["jti"] != claims["jti"]
    assert (await world.use(refreshed["access_token"])).subject == "user-1"


async def test_a_lost_answer_is_given_again_with_the_same_signed_token(world: World) -> None:
    client, tokens = await world.begin()
    first = await world.harness.refresh(client, tokens["refresh_token"])
    again = await world.harness.refresh(client, tokens["refresh_token"])
    assert first.json() == again.json()


async def test_a_revoked_signed_token_is_refused_although_it_verifies(world: World) -> None:
    client, tokens = await world.begin()
    await world.use(tokens["access_token"])
    await world.harness.revoke(client, tokens["access_token"])
    world.notes.evict_all()
    assert await world.refused(tokens["access_token"]) is Reason.GRANT_REVOKED


async def test_a_token_for_one_resource_is_refused_by_the_other(world: World) -> None:
    _, tokens = await world.begin()
    assert await world.refused(tokens["access_token"], world.mail) is Reason.TOKEN_OF_ANOTHER_RESOURCE


async def test_a_stolen_signing_key_makes_no_token_that_counts_here(world: World) -> None:
    _, tokens = await world.begin()
    claims = await world.claims(tokens["access_token"])
    forged = sign(claims | {"scope": "notes:read notes:write admin"}, await world.key(), typ=SIGNED_TOKEN_TYPE)
    assert await world.refused(forged) is Reason.TOKEN_UNKNOWN


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://other.example"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iss": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iss": ISSUER + "/"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"aud": "https://other.example/mcp"}, Reason.TOKEN_OF_ANOTHER_RESOURCE),
        ({"aud": MAIL.identifier}, Reason.TOKEN_OF_ANOTHER_RESOURCE),
        ({"aud": NOTES.identifier + "/"}, Reason.TOKEN_OF_ANOTHER_RESOURCE),
        ({"aud": [NOTES.identifier]}, Reason.TOKEN_CLAIMS_INVALID),
        ({"aud": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": 999_999}, Reason.TOKEN_EXPIRED),
        ({"exp": 1_000_000}, Reason.TOKEN_EXPIRED),
        ({"exp": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": "2000000"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": 2e9}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": True}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": 1_000_061}, Reason.TOKEN_CLAIMS_INVALID),
        ({"nbf": 1_000_100}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": 7}, Reason.TOKEN_CLAIMS_INVALID),
        ({"grant_id": None}, Reason.TOKEN_CLAIMS_INVALID),
    ],
)
async def test_a_claim_that_is_wrong_is_refused_before_any_look_up(
    world: World, changes: dict[str, Any], reason: Reason
) -> None:
    _, tokens = await world.begin()
    claims = await world.claims(tokens["access_token"]) | changes
    wrong = {name: value for name, value in claims.items() if value is not None}
    assert await world.refused(sign(wrong, await world.key(), typ=SIGNED_TOKEN_TYPE)) is reason


async def test_another_typ_or_another_servers_key_is_refused(world: World) -> None:
    _, tokens = await world.begin()
    claims = await world.claims(tokens["access_token"])
    id_token = sign(claims, await world.key(), typ="JWT")
    assert await world.refused(id_token) is Reason.TOKEN_MALFORMED
    foreign = generate_signing_key("ES256", secrets.token_bytes)
    assert await world.refused(sign(claims, foreign, typ=SIGNED_TOKEN_TYPE)) is Reason.TOKEN_KEY_UNKNOWN
    posing = replace(foreign, key_id=(await world.key()).key_id)
    assert await world.refused(sign(claims, posing, typ=SIGNED_TOKEN_TYPE)) is Reason.TOKEN_SIGNATURE_INVALID
    unsigned = f"eyJhbGciOiJub25lIn0.{tokens['access_token'].split('.')[1]}.e30"
    assert await world.refused(unsigned) is Reason.TOKEN_MALFORMED


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_is_dead(
    world: World,
) -> None:
    harness = world.harness
    old = (await world.key()).key_id
    _, tokens = await world.begin()
    new = await world.rotate(signs_in=PUBLISHED_FIRST)
    harness.now += RELOAD_AFTER
    assert await published(world) == [old, new.key_id]
    assert (await world.key()).key_id == old
    assert (await world.use(tokens["access_token"])).subject == "user-1"

    harness.now = new.signs_from - 1
    _, last = await world.begin()
    assert (await world.key()).key_id == old
    harness.now += 1
    assert (await world.key()).key_id == new.key_id
    _, fresh = await world.begin()
    assert (await world.use(last["access_token"])).subject == "user-1"
    assert (await world.use(fresh["access_token"])).subject == "user-1"

    harness.now += 3598
    assert (await world.use(last["access_token"])).subject == "user-1"
    harness.now = new.signs_from + RELOAD_AFTER + 3600
    assert await published(world) == [new.key_id]


async def test_a_retired_keys_tokens_stop_within_the_bound(world: World) -> None:
    _, tokens = await world.begin()
    old = (await world.key()).key_id
    await world.rotate(signs_in=0)
    await world.harness.store.keys.retire_signing_key(old, now=world.harness.now)
    world.harness.now += RELOAD_AFTER
    assert await world.refused(tokens["access_token"]) is Reason.TOKEN_KEY_UNKNOWN


async def test_a_token_of_a_key_that_another_process_just_added_is_looked_for_and_floods_are_not(world: World) -> None:
    row = await world.rotate(signs_in=0)
    assert row.key_id not in (await world.keys.current()).keys
    assert row.key_id not in (await world.keys.knowing(row.key_id)).keys
    world.harness.now += 5
    assert row.key_id in (await world.keys.knowing(row.key_id)).keys


async def test_signed_tokens_are_introspected_like_any(world: World) -> None:
    secret = "gp_cs_" + "s" * 43
    client = await world.harness.register(method="client_secret_post", secret=secret)
    tokens = await world.harness.begin(client, client_secret=secret)
    answer = await world.harness.introspect(client, tokens["access_token"], client_secret=secret)
    assert answer.json()["active"] is True


async def test_opaque_tokens_from_before_the_change_still_count(world: World, store: Store) -> None:
    async with token_harness(store) as before:
        client = await before.register()
        tokens = await before.begin(client)
    assert tokens["access_token"].startswith("gp_at_")
    assert (await world.use(tokens["access_token"])).subject == "user-1"
    assert refusal(await world.harness.refresh(client, "gp_rt_" + "A" * 43)) == (400, "invalid_grant")


async def test_a_head_request_for_the_keys_is_answered(world: World) -> None:
    response: httpx2.Response = await world.harness.http.head("/oauth/jwks")
    assert (response.status_code, response.content) == (200, b"")
