"""The bearer guard: what it lets through, what it remembers, and what it answers (security.md rows 27 to 31)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from gatepost.oauth.reasons import Reason
from gatepost.resource.bearer import SIGNATURE_INVALID, TokenRefused
from gatepost.resource.principal import Principal
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.grants import LiveAccessToken
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.ears import Ears
from tests.web.resource.guard_world import ANN, API_KEY, ISSUER, LIVE, NOTES, START, World, bearer


async def test_a_live_token_is_its_user() -> None:
    world = World()
    assert await world.verify(bearer(world.grants.issue())) == ANN


async def test_header_names_are_found_in_any_case() -> None:
    world = World()
    assert await world.guard.verify([(b"Authorization", bearer(world.grants.issue()))], b"") == ANN


async def test_a_request_without_a_token_is_shown_the_way_and_told_no_error() -> None:
    refused = await World().refused()
    assert (refused.status, refused.www_authenticate) == (401, START + ', scope="notes:write notes:read"')
    assert refused.reason is Reason.TOKEN_MISSING
    assert refused.body == {"detail": "Send an access token: Authorization: Bearer TOKEN."}


async def test_another_scheme_is_like_no_token_at_all() -> None:
    refused = await World().refused(b"Basic YTpi")
    assert (refused.status, refused.www_authenticate) == (401, START + ', scope="notes:write notes:read"')
    assert refused.reason is Reason.AUTHORIZATION_SCHEME_UNSUPPORTED


async def test_a_resource_that_only_the_key_opens_names_no_metadata() -> None:
    refused = await World(is_discoverable=False, api_key=API_KEY).refused()
    assert refused.www_authenticate == 'Bearer realm="mcp", scope="notes:write notes:read"'


async def test_a_token_that_does_not_count_is_told_why() -> None:
    world = World()
    refused = await world.refused(bearer(mint(SecretKind.ACCESS_TOKEN, bytes)))
    assert (refused.status, refused.www_authenticate) == (
        401,
        'Bearer error="invalid_token", error_description="The access token is unknown or has expired.", '
        + START.removeprefix("Bearer ")
        + ', scope="notes:write notes:read"',
    )
    assert refused.body == {
        "error": "invalid_token",
        "error_description": "The access token is unknown or has expired.",
    }


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (replace(LIVE, resource=f"{ISSUER}/mail"), Reason.TOKEN_OF_ANOTHER_RESOURCE),
        (replace(LIVE, grant_revoked=True), Reason.GRANT_REVOKED),
        (replace(LIVE, user_disabled=True), Reason.USER_DISABLED),
        (replace(LIVE, expires_at=1_000), Reason.TOKEN_EXPIRED),
    ],
)
async def test_a_known_token_that_does_not_count_here_is_refused_and_never_remembered(
    live: LiveAccessToken, reason: Reason
) -> None:
    world = World()
    header = bearer(world.grants.issue(live))
    for _ in range(2):
        refused = await world.refused(header)
        assert (refused.status, refused.body["error"], refused.reason) == (401, "invalid_token", reason)
    assert world.guard.cached(header) is None
    assert world.grants.look_ups == 2


@pytest.mark.parametrize(
    ("values", "query_string", "status", "error", "reason"),
    [
        ([b"Bearer a", b"Bearer a"], b"", 400, "invalid_request", Reason.AUTHORIZATION_HEADER_REPEATED),
        ([], b"access_token=abc", 400, "invalid_request", Reason.TOKEN_IN_QUERY),
        ([b"Bearer a b"], b"", 401, "invalid_token", Reason.TOKEN_MALFORMED),
        ([bearer("a" * 2049)], b"", 401, "invalid_token", Reason.TOKEN_MALFORMED),
        ([bearer(mint(SecretKind.REFRESH_TOKEN, bytes))], b"", 401, "invalid_token", Reason.TOKEN_OF_WRONG_KIND),
        ([bearer("eyJhbGciOiJub25lIn0.e30.")], b"", 401, "invalid_token", Reason.TOKEN_UNKNOWN),
    ],
)
async def test_what_cannot_count_is_refused_without_a_look_up(
    values: list[bytes], query_string: bytes, status: int, error: str, reason: Reason
) -> None:
    world = World(api_key=API_KEY)
    refused = await world.refused(*values, query_string=query_string)
    assert (refused.status, refused.body["error"], refused.reason) == (status, error, reason)
    assert world.grants.look_ups == 0


@dataclass
class Signatures:
    """What the guard asks of `SignedTokens`; counts tokens without a `bad` in them."""

    asked: list[tuple[str, str, int]] = field(default_factory=list)

    async def check(self, token: str, *, resource: str, now: int) -> None:
        self.asked.append((token, resource, now))
        if "bad" in token:
            raise TokenRefused(SIGNATURE_INVALID)


async def test_a_signed_token_has_to_verify_before_it_is_looked_up() -> None:
    signatures = Signatures()
    world = World(signed_tokens=signatures)
    world.grants.tokens[fingerprint("header.payload.signature")] = LIVE
    assert await world.verify(bearer("header.payload.signature")) == ANN
    assert (await world.refused(bearer("header.bad.signature"))).reason is Reason.TOKEN_SIGNATURE_INVALID
    assert signatures.asked == [
        ("header.payload.signature", NOTES.identifier, 1_000),
        ("header.bad.signature", NOTES.identifier, 1_000),
    ]
    assert world.grants.look_ups == 1


async def test_beside_signed_tokens_an_opaque_one_counts_and_what_is_neither_costs_no_look_up() -> None:
    signatures = Signatures()
    world = World(signed_tokens=signatures)
    assert await world.verify(bearer(world.grants.issue())) == ANN
    assert (await world.refused(bearer("neither"))).reason is Reason.TOKEN_UNKNOWN
    assert (signatures.asked, world.grants.look_ups) == ([], 1)


async def test_where_none_are_signed_a_signed_token_costs_no_look_up() -> None:
    world = World()
    world.grants.tokens[fingerprint("header.payload.signature")] = LIVE
    assert (await world.refused(bearer("header.payload.signature"))).reason is Reason.TOKEN_UNKNOWN
    assert world.grants.look_ups == 0


async def test_two_headers_are_refused_even_when_each_of_them_is_remembered() -> None:
    world = World()
    header = bearer(world.grants.issue())
    await world.verify(header)
    assert (await world.refused(header, header)).status == 400


async def test_the_static_key_has_all_scopes_of_the_resource() -> None:
    world = World(api_key=API_KEY, required_scopes=frozenset({"base"}))
    expected = Principal(
        subject="api-key",
        client_id="api-key",
        scopes=frozenset({"notes:read", "notes:write", "base"}),
        resource=NOTES.identifier,
        issuer=ISSUER,
        grant_id=None,
        expires_at=None,
    )
    assert await world.verify(bearer(API_KEY)) == expected
    assert world.guard.cached(bearer(API_KEY)) == expected
    assert (await world.refused(bearer(API_KEY + "x"))).reason is Reason.TOKEN_UNKNOWN
    assert world.grants.look_ups == 0


def test_a_key_that_could_never_be_sent_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="RFC 6750"):
        World(api_key="two words")


async def test_a_verification_counts_for_five_seconds() -> None:
    world = World()
    header = bearer(world.grants.issue())
    assert world.guard.cached(header) is None
    await world.verify(header)
    world.now += 4
    assert world.guard.cached(header) == ANN
    world.now += 1
    assert world.guard.cached(header) is None
    assert world.grants.look_ups == 1


async def test_a_verification_never_counts_past_the_tokens_end() -> None:
    world = World()
    header = bearer(world.grants.issue(replace(LIVE, expires_at=1_002)))
    await world.verify(header)
    world.now += 1
    assert world.guard.cached(header) is not None
    world.now += 1
    assert world.guard.cached(header) is None


async def test_a_clock_that_is_set_back_makes_nothing_last() -> None:
    world = World()
    header = bearer(world.grants.issue())
    await world.verify(header)
    world.now -= 3600
    assert world.guard.cached(header) is None


async def test_nothing_is_remembered_where_that_is_switched_off() -> None:
    world = World(cache_seconds=0)
    header = bearer(world.grants.issue())
    await world.verify(header)
    assert world.guard.cached(header) is None
    assert list(world.guard._verified) == []


async def test_a_revocation_in_this_process_counts_at_once() -> None:
    world = World()
    header = bearer(world.grants.issue())
    await world.verify(header)
    world.guard.evict_all()
    assert world.guard.cached(header) is None


async def test_the_end_of_a_grant_is_forgotten_of_its_own_tokens_alone() -> None:
    world = World()
    own = [bearer(world.grants.issue()) for _ in range(2)]
    other = bearer(world.grants.issue(replace(LIVE, grant_id="grant-2")))
    for header in (*own, other):
        await world.verify(header)
    world.guard.evict("grant-1")
    assert [world.guard.cached(header) for header in own] == [None, None]
    assert world.guard.cached(other) is not None


async def test_what_was_verified_counts_for_a_stream_until_something_concerns_it() -> None:
    world = World(wakeups=Ears())
    ann = await world.verify(bearer(world.grants.issue()))
    guard, before = world.guard, world.guard.evictions
    assert guard.is_still_verified(ann, before)
    guard.evict("grant-2")
    assert guard.is_still_verified(ann, before)
    guard.evict("grant-1")
    assert not guard.is_still_verified(ann, before)
    assert guard.is_still_verified(ann, guard.evictions)
    guard.evict_all()
    assert not guard.is_still_verified(ann, guard.evictions - 1)


async def test_what_was_verified_counts_for_a_stream_no_longer_than_is_known() -> None:
    world = World(wakeups=Ears())
    ann = await world.verify(bearer(world.grants.issue()))
    before = world.guard.evictions
    assert World(wakeups=Ears()).guard.is_still_verified(ann, 0)
    assert not World(wakeups=Ears(are_heard=False)).guard.is_still_verified(ann, 0)
    # What issuers elsewhere revoke is told to nobody here.
    assert not World(wakeups=Ears(), external=object()).guard.is_still_verified(ann, 0)
    for _ in range(1_001):
        world.guard.evict("grant-2")
    assert not world.guard.is_still_verified(ann, before)
    assert ann.expires_at is not None
    world.now = ann.expires_at
    assert not world.guard.is_still_verified(ann, world.guard.evictions)


async def test_a_verification_under_way_during_a_revocation_is_not_remembered() -> None:
    """It read the store before the revocation; its own request may pass, the next one may not."""
    world = World()
    world.grants.gate = asyncio.Event()
    header = bearer(world.grants.issue())
    verification = asyncio.create_task(world.verify(header))
    await asyncio.sleep(0)
    assert world.grants.look_ups == 1
    world.guard.evict_all()
    world.grants.gate.set()
    assert await verification == ANN
    assert world.guard.cached(header) is None


async def test_the_memory_is_bounded_and_lets_the_oldest_go() -> None:
    world = World(cache_entries=3)
    headers = [bearer(world.grants.issue()) for _ in range(5)]
    for header in headers:
        await world.verify(header)
    assert [world.guard.cached(header) is not None for header in headers] == [False, False, True, True, True]


async def test_a_token_with_more_blanks_before_it_counts_and_takes_no_room_in_the_memory() -> None:
    world = World(cache_entries=3, api_key=API_KEY)
    others = [bearer(world.grants.issue()), bearer(world.grants.issue())]
    token = world.grants.issue()
    for header in others:
        await world.verify(header)
    for blanks in range(2, 100):
        assert await world.verify(b"Bearer" + b" " * blanks + token.encode()) == ANN
        assert (await world.verify(b"Bearer" + b" " * blanks + API_KEY.encode())).subject == "api-key"
    assert list(world.guard._verified) == others


async def test_what_is_over_is_let_go_when_something_new_comes() -> None:
    world = World()
    old, new = bearer(world.grants.issue()), bearer(world.grants.issue())
    await world.verify(old)
    world.now += 5
    await world.verify(new)
    assert list(world.guard._verified) == [new]


async def test_a_token_verified_anew_counts_as_new() -> None:
    world = World(cache_entries=3)
    first, second, third, fourth = (bearer(world.grants.issue()) for _ in range(4))
    for header in (first, second, first, third, fourth):
        await world.verify(header)
    assert list(world.guard._verified) == [first, third, fourth]


async def test_a_token_verified_anew_takes_the_place_of_no_other() -> None:
    world = World(cache_entries=2)
    first, second = bearer(world.grants.issue()), bearer(world.grants.issue())
    for header in (first, second, second):
        await world.verify(header)
    assert list(world.guard._verified) == [first, second]


async def test_4096_verifications_are_remembered_unless_something_else_is_said() -> None:
    world = World()
    headers = [bearer(world.grants.issue()) for _ in range(4097)]
    for header in headers:
        await world.verify(header)
    assert list(world.guard._verified) == headers[1:]


async def test_a_store_that_cannot_answer_is_not_a_bad_token() -> None:
    world = World()
    header = bearer(world.grants.issue())
    world.grants.is_down = True
    with pytest.raises(StoreUnavailable):
        await world.verify(header)
    world.grants.is_down = False
    assert await world.verify(header) == ANN


async def test_too_few_scopes_are_answered_with_all_that_are_needed_in_the_order_of_the_resource() -> None:
    refused = World().guard.insufficient_scope({"other:b", "notes:read", "other:a", "notes:write"})
    assert (refused.status, refused.reason) == (403, Reason.SCOPE_INSUFFICIENT)
    assert refused.www_authenticate == (
        'Bearer error="insufficient_scope", '
        'error_description="The access token lacks a scope that this operation needs.", '
        + START.removeprefix("Bearer ")
        + ', scope="notes:write notes:read other:a other:b"'
    )
    assert refused.body["error"] == "insufficient_scope"


async def test_scopes_that_every_request_needs_are_checked_by_the_guard() -> None:
    world = World(required_scopes=frozenset({"notes:write"}))
    header = bearer(world.grants.issue())
    refused = await world.refused(header)
    assert (refused.status, refused.www_authenticate.rpartition(", ")[2]) == (403, 'scope="notes:write"')
    assert world.guard.cached(header) is None
    writer = bearer(world.grants.issue(replace(LIVE, scopes=("notes:write", "notes:read"))))
    assert (await world.verify(writer)).scopes == {"notes:read", "notes:write"}
    assert world.guard.cached(writer) is not None


async def test_neither_refusals_nor_what_is_remembered_print_a_token_or_a_person() -> None:
    world = World()
    token = world.grants.issue()
    await world.verify(bearer(token))
    refused = await world.refused(bearer(mint(SecretKind.REFRESH_TOKEN, bytes)))
    assert str(refused) == "token_of_wrong_kind"
    assert repr(list(world.guard._verified.values())) == "[_Verified(since=1000, until=1005)]"


async def test_the_memory_holds_one_verification_where_that_is_its_size() -> None:
    world = World(cache_entries=1)
    first, second = bearer(world.grants.issue()), bearer(world.grants.issue())
    await world.verify(first)
    await world.verify(second)
    assert list(world.guard._verified) == [second]


async def test_each_revocation_counts_for_the_verifications_that_are_under_way_then() -> None:
    """The second one as the first: what counts is that there was one since the store was asked."""
    world = World()
    world.guard.evict_all()
    world.grants.gate = asyncio.Event()
    header = bearer(world.grants.issue())
    verification = asyncio.create_task(world.verify(header))
    await asyncio.sleep(0)
    world.guard.evict_all()
    world.grants.gate.set()
    assert await verification == ANN
    assert world.guard.cached(header) is None


async def test_an_operation_without_a_token_is_told_what_it_needs() -> None:
    refused = World().guard.without_token({"notes:read", "other"})
    assert (refused.status, refused.headers) == (
        401,
        (("WWW-Authenticate", START + ', scope="notes:read other"'),),
    )
    assert refused.reason is Reason.TOKEN_MISSING
