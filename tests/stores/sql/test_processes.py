"""A process that dies in the middle leaves no row of something half done; what may be seen of it the suite says."""

from __future__ import annotations

import asyncio

import pytest

from gatepost.stores.conformance import Place
from gatepost.stores.conformance.durability.kills import killed_after
from tests.stores.sql.places import rows_of, store_at

HALF_DONE = (
    # an approval without its code
    """
    SELECT transaction_id FROM authorization_transactions
    WHERE state = 'approved' AND transaction_id NOT IN (SELECT transaction_id FROM authorization_codes)
    """,
    # a spent code without its grant, and the other way round
    """
    SELECT grant_id FROM authorization_codes WHERE grant_id NOT IN (SELECT grant_id FROM grants)
    UNION SELECT grant_id FROM grants WHERE grant_id NOT IN (
        SELECT grant_id FROM authorization_codes WHERE grant_id IS NOT NULL
    )
    """,
    # a grant whose tokens do not come in pairs, one pair more than there were rotations
    """
    SELECT grant_id FROM grants WHERE
        (SELECT count(*) - count(spent_at) FROM refresh_tokens WHERE refresh_tokens.grant_id = grants.grant_id) <> 1
        OR (SELECT count(*) FROM refresh_tokens WHERE refresh_tokens.grant_id = grants.grant_id)
        <> (SELECT count(*) FROM access_tokens WHERE access_tokens.grant_id = grants.grant_id)
    """,
    # a spent refresh token without its successor
    """
    SELECT grant_id FROM refresh_tokens
    WHERE spent_at IS NOT NULL AND successor_fingerprint NOT IN (SELECT token_fingerprint FROM refresh_tokens)
    """,
)


@pytest.mark.parametrize("acknowledged", [1, 30, 150])
async def test_a_killed_process_leaves_no_row_of_anything_half(place: str, acknowledged: int) -> None:
    await asyncio.to_thread(killed_after, acknowledged, Place(store_at, place))

    assert_nothing_is_half(place)


def assert_nothing_is_half(place: str) -> None:
    """Whatever was under way when the process died happened wholly or not at all."""
    for half in HALF_DONE:
        assert [*rows_of(place, half)] == [], half
    if "://" not in place:
        assert rows_of(place, "PRAGMA integrity_check") == [("ok",)]
        assert rows_of(place, "PRAGMA foreign_key_check") == []
