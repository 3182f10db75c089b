"""Tokens of login providers open in their own row, under a key of the ring, and nowhere else."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from gatepost.stores.conformance.behaviour.upstream_tokens import come_there, kept
from gatepost.stores.conformance.records import NOW, user
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.resealing import reseal_everything
from gatepost.stores.upstream_tokens import TokenPair, open_tokens
from gatepost.stores.upstream_tokens import sealed as sealed_with
from gatepost.tokens.sealing import KeyMissing, KeyRing, SealBroken

OLD = "old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
NEW = "new-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
PAIR = TokenPair("gho_of_ada", "ghr_of_ada")


def sealed(record: KeptTokens, pair: TokenPair = PAIR, *, ring: KeyRing) -> KeptTokens:
    return sealed_with(record, pair, ring, random_bytes=secrets.token_bytes)


@pytest.mark.parametrize("pair", [PAIR, TokenPair("gho_of_ada")])
def test_what_was_sealed_opens_in_its_row_and_shows_nowhere(pair: TokenPair) -> None:
    record = sealed(kept(), pair, ring=KeyRing([OLD]))
    assert open_tokens(record, KeyRing([NEW, OLD])) == pair
    assert "of_ada" not in repr(pair) + repr(record)
    assert b"of_ada" not in record.sealed_tokens


@pytest.mark.parametrize(
    "row",
    [
        {"subject": "user-2"},
        {"provider": "gitlab"},
        {"issuer": "https://elsewhere.example"},
        {"external_subject": "1"},
        {"subject": 'user-1", "github', "provider": ""},
    ],
)
def test_in_another_row_it_does_not_open(row: dict[str, Any]) -> None:
    record = sealed(kept(), ring=KeyRing([OLD]))
    with pytest.raises(SealBroken):
        open_tokens(replace(record, **row), KeyRing([OLD]))


async def test_a_key_can_leave_the_ring_once_all_is_sealed_anew(store: Store) -> None:
    tokens = store.upstream_tokens
    await store.users.add_user(user())
    await come_there(store, kept())
    old, both, new = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
    strange = replace(kept(provider="strange"), sealed_tokens=b"something else")
    for record in (sealed(kept(), ring=old), sealed(kept(provider="gitlab"), ring=new), strange):
        await tokens.keep_tokens(record, replaces=None)
    with pytest.raises(KeyMissing):
        open_tokens((await tokens.list_tokens(None, limit=9))[0], new)

    await reseal_everything(store, both, now=NOW, random_bytes=secrets.token_bytes)

    github, gitlab, unreadable = await tokens.list_tokens(None, limit=9)
    assert open_tokens(github, new) == open_tokens(gitlab, new) == PAIR
    assert unreadable == strange
