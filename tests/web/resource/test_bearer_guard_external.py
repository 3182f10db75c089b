"""Tokens of issuers elsewhere at the bearer guard: which are shown to whom, and how long the answer counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from gatepost.oauth.reasons import Reason
from gatepost.resource import bearer as rules
from gatepost.resource.bearer import Refusal, TokenRefused
from gatepost.resource.principal import Principal
from gatepost.resource.resources import ProtectedResource
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.web.resource.guard_world import ANN, API_KEY, ISSUER, LIVE, NOTES, World, bearer

ELSEWHERE = replace(ANN, issuer="https://idp.example", grant_id=None, expires_at=9_000)
OURS_SIGNED = "header.ours.signature"
THEIRS_SIGNED = "header.theirs.signature"


@dataclass
class External:
    """What the guard asks of `ExternalCallers`; a token with `ours` in it names this server."""

    refusal: Refusal | None = None
    gate: asyncio.Event | None = None
    asked: list[tuple[str, ProtectedResource, str]] = field(default_factory=list)

    def says_issuer(self, token: str, issuer: str) -> bool:
        return "ours" in token and issuer == ISSUER

    async def principal(self, token: str, resource: ProtectedResource, *, own_issuer: str) -> Principal:
        self.asked.append((token, resource, own_issuer))
        if self.gate is not None:
            await self.gate.wait()
        if self.refusal is not None:
            raise TokenRefused(self.refusal)
        return ELSEWHERE


@dataclass
class Signatures:
    """What the guard asks of `SignedTokens`: every signature is right."""

    asked: list[str] = field(default_factory=list)

    async def check(self, token: str, *, resource: str, now: int) -> None:
        assert (resource, now) == (NOTES.identifier, 1_000)
        self.asked.append(token)


@pytest.mark.parametrize("token", [THEIRS_SIGNED, "opaque-elsewhere"])
async def test_somebody_elses_token_is_verified_elsewhere_once_in_five_seconds(token: str) -> None:
    external = External()
    world = World(external=external)
    assert await world.verify(bearer(token)) == ELSEWHERE
    (verified,) = world.guard._verified.values()
    assert (verified.principal, verified.since, verified.until) == (ELSEWHERE, 1_000, 1_005)
    assert world.guard.cached(bearer(token)) == ELSEWHERE
    assert (external.asked, world.grants.look_ups) == ([(token, NOTES, ISSUER)], 0)


async def test_a_token_under_way_during_a_revocation_is_not_remembered() -> None:
    external = External(gate=asyncio.Event())
    world = World(external=external)
    verification = asyncio.create_task(world.verify(bearer(THEIRS_SIGNED)))
    await asyncio.sleep(0)
    assert len(external.asked) == 1
    world.guard.evict_all()
    assert external.gate is not None
    external.gate.set()
    assert await verification == ELSEWHERE
    assert list(world.guard._verified) == []


async def test_no_secret_of_this_server_is_ever_shown_elsewhere() -> None:
    external = External()
    world = World(external=external, api_key=API_KEY)
    assert await world.verify(bearer(world.grants.issue())) == ANN
    assert (await world.verify(bearer(API_KEY))).subject == "api-key"
    for kind in SecretKind:
        refused = await world.refused(bearer(mint(kind, bytes)))
        expected = {SecretKind.ACCESS_TOKEN: Reason.TOKEN_UNKNOWN, SecretKind.API_KEY: Reason.API_KEY_UNKNOWN}
        assert refused.reason is expected.get(kind, Reason.TOKEN_OF_WRONG_KIND)
    assert external.asked == []


async def test_beside_signed_tokens_of_ours_each_goes_to_its_issuer() -> None:
    external, signatures = External(), Signatures()
    world = World(external=external, signed_tokens=signatures)
    world.grants.tokens[fingerprint(OURS_SIGNED)] = LIVE
    assert await world.verify(bearer(OURS_SIGNED)) == ANN
    assert await world.verify(bearer(THEIRS_SIGNED)) == ELSEWHERE
    assert signatures.asked == [OURS_SIGNED]
    assert external.asked == [(THEIRS_SIGNED, NOTES, ISSUER)]


async def test_what_only_contains_our_name_and_is_no_signed_token_goes_elsewhere() -> None:
    external = External()
    world = World(external=external, signed_tokens=Signatures())
    assert await world.verify(bearer("ours-not-signed")) == ELSEWHERE
    assert external.asked == [("ours-not-signed", NOTES, ISSUER)]


async def test_where_none_are_signed_here_a_signed_token_goes_elsewhere() -> None:
    """Whoever answers there refuses what names this server."""
    external = External()
    assert await World(external=external).verify(bearer(OURS_SIGNED)) == ELSEWHERE
    assert external.asked == [(OURS_SIGNED, NOTES, ISSUER)]


async def test_a_long_token_counts_where_issuers_elsewhere_do_and_only_there() -> None:
    longest, too_long = "a" * 8192, "a" * 8193
    world = World(external=External())
    assert await world.verify(bearer(longest)) == ELSEWHERE
    assert (await world.refused(bearer(too_long))).reason is Reason.TOKEN_MALFORMED
    alone = World()
    assert (await alone.refused(bearer("a" * 2048))).reason is Reason.TOKEN_UNKNOWN
    assert (await alone.refused(bearer("a" * 2049))).reason is Reason.TOKEN_MALFORMED


async def test_too_few_scopes_elsewhere_are_told_and_never_remembered() -> None:
    world = World(external=External(), required_scopes=frozenset({"notes:write"}))
    refused = await world.refused(bearer(THEIRS_SIGNED))
    assert (refused.status, refused.reason) == (403, Reason.SCOPE_INSUFFICIENT)
    assert world.guard.cached(bearer(THEIRS_SIGNED)) is None


async def test_a_refusal_from_elsewhere_is_told_and_never_remembered() -> None:
    world = World(external=External(refusal=rules.ANOTHER_RESOURCE))
    refused = await world.refused(bearer(THEIRS_SIGNED))
    assert (refused.status, refused.reason) == (401, Reason.TOKEN_OF_ANOTHER_RESOURCE)
    assert refused.headers == (("WWW-Authenticate", refused.www_authenticate),)
    assert world.guard.cached(bearer(THEIRS_SIGNED)) is None


async def test_an_issuer_that_cannot_be_asked_is_no_challenge_but_a_time_to_come_back() -> None:
    refused = await World(external=External(refusal=rules.ISSUER_UNAVAILABLE)).refused(bearer(THEIRS_SIGNED))
    assert (refused.status, refused.headers) == (503, (("Retry-After", "5"),))
    assert refused.body == {
        "error": "temporarily_unavailable",
        "error_description": "The keys of the token's issuer cannot be had now; try again later.",
    }
