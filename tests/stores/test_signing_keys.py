"""The signing keys of one process over each store."""

from __future__ import annotations

import secrets

import pytest

from gatepost.stores.conformance.records import NOW
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.contract.store import Store
from gatepost.stores.signing_keys import SigningKeys
from gatepost.tokens.sealing import KeyRing

RING = KeyRing(["ring-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"])


def signing_keys(store: Store, *, algorithm: str = "ES256", now: int = NOW, ring: KeyRing = RING) -> SigningKeys:
    return SigningKeys(
        store=store.keys, ring=ring, algorithm=algorithm, now=lambda: now, random_bytes=secrets.token_bytes
    )


async def test_the_first_start_makes_a_key_and_the_next_finds_it(store: Store) -> None:
    first, second = signing_keys(store), signing_keys(store, algorithm="EdDSA")
    await first.open()
    await second.open()
    made = (await first.current()).signing(now=NOW)
    assert (await second.current()).signing(now=NOW) == made
    assert made.algorithm == "ES256"
    (kept,) = await store.keys.signing_keys(now=NOW)
    assert made.secret not in kept.sealed_secret


async def test_a_clock_that_runs_behind_signs_with_the_first_key(store: Store) -> None:
    await signing_keys(store).open()
    behind = signing_keys(store, now=NOW - 100)
    key = (await behind.current()).signing(now=NOW - 100)
    assert [key.key_id] == [kept.key_id for kept in await store.keys.signing_keys(now=NOW)]


@pytest.mark.parametrize("sealed", [b"", b"altered", b"\0" * 80])
async def test_a_key_that_was_altered_stops_the_start(store: Store, sealed: bytes) -> None:
    await signing_keys(store).open()
    (kept,) = await store.keys.signing_keys(now=NOW)
    await store.keys.reseal_signing_key(kept.key_id, sealed)
    with pytest.raises(StoreMisconfigured, match="gatepost keys retire"):
        await signing_keys(store).open()


async def test_a_key_in_another_keys_place_does_not_open(store: Store) -> None:
    await signing_keys(store).open()
    (kept,) = await store.keys.signing_keys(now=NOW)
    await store.keys.retire_signing_key(kept.key_id, now=NOW, even_last=True)
    await signing_keys(store).open()
    (other,) = await store.keys.signing_keys(now=NOW)
    await store.keys.reseal_signing_key(other.key_id, kept.sealed_secret)
    with pytest.raises(StoreMisconfigured):
        await signing_keys(store).open()


async def test_keys_that_are_said_to_have_changed_are_read_again_also_while_they_are_being_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = signing_keys(store)
    await keys.open()
    before = await keys.current()
    assert await keys.current() is before
    keys.look_again()
    again = await keys.current()
    assert again is not before
    read = store.keys.signing_keys

    async def read_slowly(*, now: int) -> list[SealedSigningKey]:
        found = await read(now=now)
        monkeypatch.setattr(store.keys, "signing_keys", read)
        keys.look_again()  # what was found may be what there was before
        return found

    monkeypatch.setattr(store.keys, "signing_keys", read_slowly)
    keys.look_again()
    stale = await keys.current()
    assert await keys.current() is not stale
