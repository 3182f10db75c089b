"""Everything comes under another key while servers go on, on each backend."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import pytest

from gatepost.stores import resealing
from gatepost.stores.conformance.behaviour.upstream_tokens import kept
from gatepost.stores.conformance.records import NOW, user
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.store import Store
from gatepost.stores.resealing import Resealed, reseal_everything
from gatepost.stores.second_steps import open_step, seal_step
from gatepost.stores.signing_keys import RELOAD_AFTER, SigningKeys, rotate
from gatepost.stores.upstream_tokens import TokenPair, open_tokens, sealed
from gatepost.tokens.sealing import KeyRing, sealed_under
from tests.stores.care.filled import NEW, OLD, fill

BEFORE = KeyRing([OLD])
OLD_FIRST = KeyRing([OLD, NEW])
NEW_FIRST = KeyRing([NEW, OLD])
AFTER = KeyRing([NEW])
PEOPLE = 12


async def fill_more(store: Store) -> None:
    """Give several people a second step and tokens, and rotate the signing key."""
    await fill(store, BEFORE)
    await rotate(store.keys, BEFORE, algorithm="ES256", token_lifetime=60, now=NOW, random_bytes=secrets.token_bytes)
    await fill_people(store, BEFORE, PEOPLE)


async def fill_people(store: Store, ring: KeyRing, count: int) -> None:
    """Give `count` people a second step and tokens of a login provider, sealed."""
    for number in range(count):
        subject = f"person-{number}"
        await store.users.add_user(user(subject, f"name-{number}"))
        await store.second_steps.set_up(step_of(subject, ring), recovery_codes=[])
        await keep_tokens(store, subject, ring)


def step_of(subject: str, ring: KeyRing) -> SecondStep:
    secret = seal_step(subject.encode(), subject=subject, step_id="step", ring=ring, random_bytes=secrets.token_bytes)
    return SecondStep(subject, "step", secret, 1, NOW)


async def keep_tokens(store: Store, subject: str, ring: KeyRing) -> None:
    row = kept(subject=subject, issuer="local", external_subject=subject)
    pair = TokenPair(f"access of {subject}", f"refresh of {subject}")
    row = sealed(row, pair, ring, random_bytes=secrets.token_bytes)
    assert await store.upstream_tokens.keep_tokens(row, replaces=None)


async def under(store: Store) -> set[str]:
    """Return the public names of the keys under which anything is sealed, ended signing keys included."""
    return {
        sealed_under(value)
        for value in (
            *(key.sealed_secret for key in await store.keys.signing_keys(now=0)),
            *(step.sealed_secret for step in await store.second_steps.list_second_steps()),
            *(tokens.sealed_tokens for tokens in await store.upstream_tokens.list_tokens(None, limit=1_000)),
        )
    }


async def reseal(store: Store, ring: KeyRing = NEW_FIRST) -> list[Resealed]:
    return await reseal_everything(store, ring, now=NOW, random_bytes=secrets.token_bytes)


async def read_everything(store: Store, ring: KeyRing) -> list[object]:
    """Open everything as a server does that has this ring."""
    # It comes to know the store's keys anew, as a process does every minute.
    keys = SigningKeys(
        store=store.keys, ring=ring, algorithm="ES256", now=lambda: NOW, random_bytes=secrets.token_bytes
    )
    signing = (await keys.current()).keys
    steps = await store.second_steps.list_second_steps()
    tokens = await store.upstream_tokens.list_tokens(None, limit=1_000)
    return [
        sorted((name, key.secret) for name, key in signing.items()),
        {step.subject: open_step(step, ring) for step in steps},
        {row.subject: open_tokens(row, ring) for row in tokens},
    ]


async def test_servers_go_on_while_everything_is_sealed_anew_and_nothing_stays_under_the_old_key(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "PAGE", 5)
    await fill_more(store)
    before = await read_everything(store, BEFORE)
    assert await under(store) == set(BEFORE.key_ids)
    seen: set[frozenset[str]] = set()

    async def serve(ring: KeyRing) -> None:
        while not resealed.done():
            assert await read_everything(store, ring) == before
            seen.add(frozenset(await under(store)))

    resealed = asyncio.create_task(reseal(store))
    await asyncio.gather(serve(OLD_FIRST), serve(NEW_FIRST))

    assert [(kind.looked_at, kind.sealed_anew, kind.unopened) for kind in await resealed] == [
        (2, 2, 0),
        (PEOPLE + 1, PEOPLE + 1, 0),
        (PEOPLE + 1, PEOPLE + 1, 0),
    ]
    assert await under(store) == set(AFTER.key_ids)
    assert await read_everything(store, AFTER) == before
    assert seen or store.is_lost_at_exit, "memory is asked without a pause in between"


async def test_one_that_was_interrupted_goes_on_where_it_was(store: Store) -> None:
    await fill_more(store)
    stops_at = PEOPLE // 2
    steps = store.second_steps

    class Interrupted:
        """Fails in the middle of the second steps, as a store that goes away does."""

        def __init__(self) -> None:
            self.left = stops_at
            self.list_second_steps = steps.list_second_steps

        async def reseal_second_step(self, subject: str, step_id: str, sealed_secret: bytes) -> None:
            if not self.left:
                raise StoreUnavailable("gone")
            self.left -= 1
            await steps.reseal_second_step(subject, step_id, sealed_secret)

    with pytest.raises(StoreUnavailable):
        await reseal(replace(store, second_steps=Interrupted()))  # type: ignore[arg-type] # what is called of it
    assert await under(store) == set(NEW_FIRST.key_ids)

    done = {kind.what: kind.sealed_anew for kind in await reseal(store)}

    assert done == {
        "signing keys": 0,
        "second steps": PEOPLE + 1 - stops_at,
        "tokens of login providers": PEOPLE + 1,
    }
    assert await under(store) == set(AFTER.key_ids)


async def test_what_another_server_seals_under_the_old_key_meanwhile_is_found_by_the_next_time(store: Store) -> None:
    await fill_more(store)
    await reseal(store)
    await store.users.add_user(user("late", "late"))
    await store.second_steps.set_up(step_of("late", OLD_FIRST), recovery_codes=[])
    assert await under(store) == set(NEW_FIRST.key_ids)

    assert [kind.sealed_anew for kind in await reseal(store)] == [0, 1, 0]
    assert await under(store) == set(AFTER.key_ids)


async def test_what_does_not_open_is_counted_and_left(store: Store) -> None:
    await fill_more(store)
    await store.second_steps.reseal_second_step("person-1", "step", b"altered")

    done = {kind.what: (kind.sealed_anew, kind.unopened) for kind in await reseal(store)}

    assert done["second steps"] == (PEOPLE, 1)
    steps = {step.subject: step.sealed_secret for step in await store.second_steps.list_second_steps()}
    assert steps["person-1"] == b"altered"


async def test_keys_that_have_ended_are_sealed_anew_too_and_nobody_misses_those_that_do_not_open(store: Store) -> None:
    await fill_more(store)
    late = NOW + RELOAD_AFTER + 10_000
    assert len(await store.keys.signing_keys(now=late)) == 1
    lost = await rotate(
        store.keys,
        KeyRing([f"lost-{NEW}"]),
        algorithm="ES256",
        token_lifetime=1,
        now=NOW,
        random_bytes=secrets.token_bytes,
    )
    await store.keys.retire_signing_key(lost.key_id, now=NOW, even_last=True)

    keys, *_ = await reseal_everything(store, NEW_FIRST, now=late, random_bytes=secrets.token_bytes)

    assert (keys.looked_at, keys.sealed_anew, keys.unopened) == (2, 2, 0)
    assert await under(store) == {*AFTER.key_ids, sealed_under(lost.sealed_secret)}


async def test_progress_is_told_by_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "PAGE", 5)
    await fill_more(store)
    told: list[tuple[str, int]] = []

    await reseal_everything(
        store,
        NEW_FIRST,
        now=NOW,
        random_bytes=secrets.token_bytes,
        progress=lambda kind: told.append((kind.what, kind.looked_at)),
    )

    steps, tokens = "second steps", "tokens of login providers"
    assert told == [("signing keys", 2)] + [(what, count) for what in (steps, tokens) for count in (5, 10, 13)]
