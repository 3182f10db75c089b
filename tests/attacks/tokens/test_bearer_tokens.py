"""Bearer tokens at the MCP endpoint (security.md rows 27 and 29 to 31), with tokens that each store holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.oauth.reasons import Reason
from gatepost.resource.principal import Principal
from gatepost.stores.contract.users import LOCAL, User
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.refused import BearerRefused
from tests.web.oauth.token_harness import ISSUER, MAIL, NOTES, Answer, Harness

CACHE_SECONDS = 5


@pytest.fixture
def guard(harness: Harness) -> BearerGuard:
    """The guard of the resource that tokens are issued for."""
    return BearerGuard(
        grants=harness.store.grants,
        resource=NOTES,
        issuer=ISSUER,
        now=lambda: harness.now,
        cache_seconds=CACHE_SECONDS,
    )


async def use(guard: BearerGuard, *tokens: str, query: bytes = b"") -> Principal:
    header = b"authorization"
    cached = guard.cached(f"Bearer {tokens[0]}".encode()) if len(tokens) == 1 and not query else None
    return cached or await guard.verify([(header, f"Bearer {token}".encode()) for token in tokens], query)


async def refused(guard: BearerGuard, *tokens: str, query: bytes = b"") -> tuple[int, Reason]:
    with pytest.raises(BearerRefused) as caught:
        await use(guard, *tokens, query=query)
    assert not any(token in caught.value.www_authenticate for token in tokens)
    return caught.value.status, caught.value.reason


async def begin(harness: Harness) -> Answer:
    return await harness.begin(await harness.register())


async def test_secrets_of_every_other_kind_are_no_access_tokens(harness: Harness, guard: BearerGuard) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    assert await refused(guard, code) == (401, Reason.TOKEN_OF_WRONG_KIND)
    tokens = (await harness.redeem(client, code)).json()
    assert await refused(guard, tokens["refresh_token"]) == (401, Reason.TOKEN_OF_WRONG_KIND)
    for foreign in ("ghp_" + "a" * 36, "ya29." + "a" * 60, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", client.client_id):
        assert await refused(guard, foreign) == (401, Reason.TOKEN_UNKNOWN)


async def test_a_token_for_another_resource_is_refused(harness: Harness, guard: BearerGuard) -> None:
    client = await harness.register()
    code = await harness.approve(client, resource=MAIL.identifier)
    tokens = (await harness.redeem(client, code)).json()
    assert await refused(guard, tokens["access_token"]) == (401, Reason.TOKEN_OF_ANOTHER_RESOURCE)


async def test_a_good_token_in_a_wrong_place_does_not_count(harness: Harness, guard: BearerGuard) -> None:
    token = (await begin(harness))["access_token"]
    await use(guard, token)
    assert await refused(guard, token, token) == (400, Reason.AUTHORIZATION_HEADER_REPEATED)
    assert await refused(guard, query=f"access_token={token}".encode()) == (400, Reason.TOKEN_IN_QUERY)
    assert await refused(guard, token, query=b"a=b&access_token=x") == (400, Reason.TOKEN_IN_QUERY)
    assert await refused(guard, token.upper()) == (401, Reason.TOKEN_UNKNOWN)
    assert await refused(guard, token + "=") == (401, Reason.TOKEN_UNKNOWN)


async def test_a_revocation_counts_at_once_here_and_within_the_bound_elsewhere(
    harness: Harness, guard: BearerGuard
) -> None:
    client = await harness.register()
    token = (await harness.begin(client))["access_token"]
    assert (await use(guard, token)).subject == "user-1"
    await harness.revoke(client, token)

    # Another process has not heard of it, and goes on for as long as a verification counts.
    assert (await use(guard, token)).subject == "user-1"
    harness.now += CACHE_SECONDS
    assert await refused(guard, token) == (401, Reason.GRANT_REVOKED)
    harness.now -= CACHE_SECONDS

    # This process is told.
    guard.evict_all()
    assert await refused(guard, token) == (401, Reason.GRANT_REVOKED)


async def test_a_disabled_accounts_tokens_are_refused_and_stay_so(harness: Harness, guard: BearerGuard) -> None:
    user = User("user-1", LOCAL, "user-1", harness.now, username="ada")
    assert await harness.store.users.add_user(user)
    token = (await begin(harness))["access_token"]
    assert (await use(guard, token)).display_name == "ada"
    await harness.store.users.disable_user("user-1", now=harness.now)
    guard.evict_all()
    status, reason = await refused(guard, token)
    assert (status, reason in {Reason.USER_DISABLED, Reason.GRANT_REVOKED}) == (401, True)
    await harness.store.users.enable_user("user-1")
    assert await refused(guard, token) == (401, Reason.GRANT_REVOKED)


async def test_too_few_scopes_name_all_that_are_needed(harness: Harness) -> None:
    more = replace(NOTES, scopes={**NOTES.scopes, "notes:admin": "Everything"})
    guard = BearerGuard(
        grants=harness.store.grants,
        resource=more,
        issuer=ISSUER,
        now=lambda: harness.now,
        required_scopes=frozenset({"notes:admin", "notes:read"}),
    )
    token = (await begin(harness))["access_token"]
    with pytest.raises(BearerRefused) as caught:
        await use(guard, token)
    assert caught.value.status == 403
    assert 'error="insufficient_scope"' in caught.value.www_authenticate
    assert 'scope="notes:read notes:admin"' in caught.value.www_authenticate


async def test_an_expired_token_is_refused_to_the_second(harness: Harness, guard: BearerGuard) -> None:
    token = (await begin(harness))["access_token"]
    harness.now += 3599
    assert (await use(guard, token)).subject == "user-1"
    harness.now += 1
    assert (await refused(guard, token))[0] == 401
