"""API keys at the bearer guard: where they are sent, who is asked about them, and how long the answer counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from gatepost.oauth.reasons import Reason
from gatepost.resource import api_keys
from gatepost.resource.bearer import TokenRefused
from gatepost.resource.principal import Principal
from gatepost.resource.resources import ProtectedResource
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.web.resource.guard_world import ANN, API_KEY, ISSUER, NOTES, World, bearer

KEY = mint(SecretKind.API_KEY, bytes)
SENT = KEY.encode()
ROBOT = replace(ANN, client_id="key-1", grant_id=None, expires_at=None)
FIXED = Principal(
    subject="api-key",
    client_id="api-key",
    scopes=frozenset({"notes:read", "notes:write"}),
    resource=NOTES.identifier,
    issuer=ISSUER,
    grant_id=None,
    expires_at=None,
)


@dataclass
class Keys:
    """What the guard asks of `ApiKeyCallers`: one key is known."""

    principal_of_key: Principal = ROBOT
    asked: list[tuple[bytes, ProtectedResource, str]] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def principal(self, key_fingerprint: bytes, resource: ProtectedResource, *, issuer: str) -> Principal:
        self.asked.append((key_fingerprint, resource, issuer))
        if self.gate is not None:
            await self.gate.wait()
        if key_fingerprint != fingerprint(KEY):
            raise TokenRefused(api_keys.UNKNOWN)
        return self.principal_of_key


async def test_a_key_in_its_own_header_is_looked_up_among_keys_once_in_five_seconds() -> None:
    keys = Keys()
    world = World(api_keys=keys)
    for seconds, asked in ((0, 1), (4, 1), (1, 2)):
        world.now += seconds
        assert await world.verify(keys=[SENT]) == ROBOT
        assert len(keys.asked) == asked
    assert keys.asked == [(fingerprint(KEY), NOTES, ISSUER)] * 2
    assert world.grants.look_ups == 0


async def test_a_key_that_is_sent_as_a_token_is_looked_up_among_keys_alone() -> None:
    keys = Keys()
    world = World(api_keys=keys)
    assert await world.verify(bearer(KEY)) == ROBOT
    assert world.guard.cached(bearer(KEY)) == ROBOT
    assert (keys.asked, world.grants.look_ups) == ([(fingerprint(KEY), NOTES, ISSUER)], 0)


async def test_what_one_header_had_is_never_taken_for_the_other() -> None:
    world = World(api_keys=Keys(), api_key=API_KEY)
    await world.verify(keys=[SENT])
    await world.verify(keys=[API_KEY.encode()])
    for value in (SENT, bearer(KEY), API_KEY.encode(), bearer(API_KEY)):
        assert world.guard.cached(value) is None


async def test_a_key_counts_no_second_past_its_end() -> None:
    keys = Keys(replace(ROBOT, expires_at=1_002))
    world = World(api_keys=keys)
    for seconds, asked in ((0, 1), (1, 1), (1, 2)):
        world.now += seconds
        await world.verify(keys=[SENT])
        assert len(keys.asked) == asked


async def test_a_key_with_a_late_end_counts_for_five_seconds() -> None:
    keys = Keys(replace(ROBOT, expires_at=9_000))
    world = World(api_keys=keys)
    for seconds, asked in ((0, 1), (4, 1), (1, 2)):
        world.now += seconds
        await world.verify(keys=[SENT])
        assert len(keys.asked) == asked


async def test_a_key_under_way_during_a_revocation_is_not_remembered() -> None:
    keys = Keys(gate=asyncio.Event())
    world = World(api_keys=keys)
    world.guard.evict_all()
    verification = asyncio.create_task(world.verify(keys=[SENT]))
    await asyncio.sleep(0)
    assert len(keys.asked) == 1
    world.guard.evict_all()
    assert keys.gate is not None
    keys.gate.set()
    assert await verification == ROBOT
    assert list(world.guard._verified) == []


async def test_a_key_with_too_few_scopes_is_told_so_and_never_remembered() -> None:
    world = World(api_keys=Keys(), required_scopes=frozenset({"notes:write"}))
    refused = await world.refused(keys=[SENT])
    assert (refused.status, refused.reason) == (403, Reason.SCOPE_INSUFFICIENT)
    assert list(world.guard._verified) == []


async def test_a_key_with_blanks_around_it_counts_and_takes_no_room_in_the_memory() -> None:
    world = World(api_keys=Keys())
    for blanks in range(1, 50):
        assert await world.verify(keys=[b" " * blanks + SENT]) == ROBOT
    assert list(world.guard._verified) == []


@pytest.mark.parametrize("in_a_header_of_its_own", [True, False])
async def test_a_key_that_is_not_known_is_refused(in_a_header_of_its_own: bool) -> None:
    world = World(api_keys=Keys())
    other = KEY[:-1] + "E"
    refused = await (world.refused(keys=[other.encode()]) if in_a_header_of_its_own else world.refused(bearer(other)))
    assert (refused.status, refused.reason) == (401, Reason.API_KEY_UNKNOWN)


@pytest.mark.parametrize("in_a_header_of_its_own", [True, False])
async def test_where_no_keys_are_made_none_counts(in_a_header_of_its_own: bool) -> None:
    world = World()
    refused = await (world.refused(keys=[SENT]) if in_a_header_of_its_own else world.refused(bearer(KEY)))
    assert (refused.status, refused.reason) == (401, Reason.API_KEY_UNKNOWN)
    assert world.grants.look_ups == 0


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (mint(SecretKind.ACCESS_TOKEN, bytes).encode(), Reason.TOKEN_OF_WRONG_KIND),
        (mint(SecretKind.REFRESH_TOKEN, bytes).encode(), Reason.TOKEN_OF_WRONG_KIND),
        (b"somebody-elses", Reason.API_KEY_UNKNOWN),
        (b"gp_ak_too-short", Reason.API_KEY_UNKNOWN),
        (b"two words", Reason.TOKEN_MALFORMED),
    ],
)
async def test_what_is_no_key_is_refused_in_their_header_without_a_look_up(sent: bytes, reason: Reason) -> None:
    keys = Keys()
    world = World(api_keys=keys, api_key=API_KEY)
    refused = await world.refused(keys=[sent])
    assert (refused.status, refused.reason) == (401, reason)
    assert (keys.asked, world.grants.look_ups) == ([], 0)


async def test_an_access_token_that_lives_does_not_count_in_the_header_of_keys() -> None:
    world = World(api_keys=Keys())
    refused = await world.refused(keys=[world.grants.issue().encode()])
    assert refused.reason is Reason.TOKEN_OF_WRONG_KIND


async def test_of_two_credentials_none_counts_even_when_each_is_remembered() -> None:
    world = World(api_keys=Keys())
    header = bearer(world.grants.issue())
    await world.verify(header)
    await world.verify(keys=[SENT])
    for refused in (await world.refused(header, keys=[SENT]), await world.refused(keys=[SENT, SENT])):
        assert (refused.status, refused.reason) == (400, Reason.CREDENTIALS_REPEATED)


async def test_a_key_beside_a_credential_in_the_url_does_not_count() -> None:
    refused = await World(api_keys=Keys()).refused(keys=[SENT], query_string=b"access_token=a")
    assert (refused.status, refused.reason) == (400, Reason.TOKEN_IN_QUERY)


async def test_the_static_key_counts_in_the_header_of_keys_for_five_seconds() -> None:
    keys = Keys()
    world = World(api_keys=keys, api_key=API_KEY)
    assert await world.verify(keys=[API_KEY.encode()]) == FIXED
    (verified,) = world.guard._verified.values()
    assert (verified.principal, verified.since, verified.until) == (FIXED, 1_000, 1_005)
    assert keys.asked == []


async def test_the_static_key_and_a_made_one_count_beside_each_other() -> None:
    world = World(api_keys=Keys(), api_key=API_KEY)
    assert await world.verify(keys=[SENT]) == ROBOT
    assert await world.verify(bearer(API_KEY)) == FIXED
    assert list(world.guard._verified) == [(SENT,), bearer(API_KEY)]
