"""Secrets of second steps are sealed for their person, outlive a change of keys, and are offered to one session."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gatepost.identity.one_time_codes import secret_groups
from gatepost.identity.second_steps import CodeWrong, Passed, SecondSteps, secret_name
from gatepost.stores.conformance.records import NOW, user
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User
from gatepost.stores.resealing import reseal_everything
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.sealing import KeyRing
from tests.identity.one_time_app import App

OLD = "old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
NEW = "new-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = memory_store()
    await store.open()
    await store.users.add_user(user())
    await store.users.add_user(user("user-2", "bob"))
    yield store
    await store.close()


def steps(store: Store, *keys: str, now: int = NOW) -> SecondSteps:
    ring = KeyRing(keys or [OLD])
    return SecondSteps(store=store.second_steps, key_ring=ring, now=lambda: now, random_bytes=secrets.token_bytes)


async def set_up(store: Store, person: User) -> tuple[User, App, tuple[str, ...]]:
    """Set up a second step under the old key."""
    secret = steps(store).offered_secret(person, "a session")
    app = App(secret_groups(secret))
    codes = await steps(store).set_up(person, secret, app.code(NOW))
    assert codes is not None
    return await store.users.find_user_by_subject(person.subject) or person, app, codes


def test_what_is_offered_depends_on_person_session_and_key_alone() -> None:
    store = memory_store()
    offered = steps(store).offered_secret(user(), "a session")

    assert len(offered) == 20
    assert steps(store, OLD, NEW).offered_secret(user(), "a session") == offered
    others = [
        steps(store).offered_secret(user(), "another session"),
        steps(store).offered_secret(user("user-2", "bob"), "a session"),
        steps(store, NEW).offered_secret(user(), "a session"),
    ]
    assert len({offered, *others}) == 4


async def test_nothing_is_kept_before_a_code_of_the_secret(store: Store) -> None:
    secret = steps(store).offered_secret(user(), "a session")
    for typed in ("000000", "", App("A" * 32).code(NOW)):
        with pytest.raises(CodeWrong):
            await steps(store).set_up(user(), secret, typed)
    assert await store.second_steps.list_second_steps() == []


async def test_a_person_who_has_one_keeps_it(store: Store) -> None:
    person, app, _ = await set_up(store, user())
    other = App(secret_groups(b"x" * 20))

    assert await steps(store).set_up(user(), b"x" * 20, other.code(NOW)) is None
    assert await steps(store, now=NOW + 30).try_code(person, app.code(NOW + 30)) is Passed.CODE


async def test_a_code_or_a_recovery_code_passes_once(store: Store) -> None:
    person, app, codes = await set_up(store, user())
    later = steps(store, now=NOW + 30)

    assert [await later.try_code(person, app.code(NOW + 30)) for _ in range(2)] == [Passed.CODE, None]
    assert [await later.try_code(person, codes[0]) for _ in range(2)] == [Passed.RECOVERY_CODE, None]


async def test_a_person_whose_step_was_set_up_anew_since_passes_by_nothing(store: Store) -> None:
    person, app, codes = await set_up(store, user())
    stale = replace(person, second_step="step_of_before")

    assert [await steps(store, now=NOW + 30).try_code(stale, typed) for typed in (app.code(NOW + 30), *codes)] == [
        None
    ] * 11
    assert await steps(store).renew_recovery_codes(stale) is None


async def test_secrets_are_sealed_anew_before_the_old_key_leaves(store: Store) -> None:
    person, app, _ = await set_up(store, user())
    both, new = KeyRing([NEW, OLD]), KeyRing([NEW])

    await reseal_everything(store, both, now=NOW, random_bytes=secrets.token_bytes)

    (kept,) = await store.second_steps.list_second_steps()
    assert new.is_current(kept.sealed_secret)
    assert await steps(store, NEW, now=NOW + 30).try_code(person, app.code(NOW + 30)) is Passed.CODE


async def test_one_that_does_not_open_leaves_the_others_and_is_told_at_its_use(store: Store) -> None:
    ada, app, codes = await set_up(store, user())
    await set_up(store, user("user-2", "bob"))
    await store.second_steps.reseal_second_step("user-1", ada.second_step or "", b"altered")

    await reseal_everything(store, KeyRing([NEW, OLD]), now=NOW, random_bytes=secrets.token_bytes)

    broken, moved = await store.second_steps.list_second_steps()
    assert (broken.sealed_secret, KeyRing([NEW]).is_current(moved.sealed_secret)) == (b"altered", True)
    with pytest.raises(StoreMisconfigured, match="gatepost users second-step user-1 off"):
        await steps(store, NEW, now=NOW + 30).try_code(ada, app.code(NOW + 30))
    assert await steps(store, NEW).try_code(ada, codes[0]) is Passed.RECOVERY_CODE


async def test_what_a_process_with_the_old_key_first_has_sealed_is_sealed_anew_when_it_is_used(store: Store) -> None:
    person, app, _ = await set_up(store, user())

    await steps(store, NEW, OLD, now=NOW + 30).try_code(person, app.code(NOW + 30))

    (kept,) = await store.second_steps.list_second_steps()
    assert KeyRing([NEW]).is_current(kept.sealed_secret)
    assert kept.last_time_step == NOW // 30 + 1


def test_guesses_are_counted_under_another_name_for_each_secret_and_each_password() -> None:
    person = user(second_step="step-1", password_hash="$a")
    assert (
        len(
            {
                secret_name(each)
                for each in (person, replace(person, second_step="step-2"), replace(person, password_hash="$b"))
            }
        )
        == 3
    )
    assert "$a" not in secret_name(person)
