"""Second steps and recovery codes, on every backend."""

import asyncio
from dataclasses import replace
from typing import Any

from gatepost.stores.conformance.behaviour.passkeys import passkey
from gatepost.stores.conformance.records import NOW, fp, session, user
from gatepost.stores.contract.passkeys import PasskeyAddition
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.store import Store

CODES = [fp("code 1"), fp("code 2"), fp("code 3")]


def step(subject: str = "user-1", **changes: Any) -> SecondStep:
    values = {"step_id": "step-1", "sealed_secret": b"sealed", "last_time_step": 100, "created_at": NOW, **changes}
    return SecondStep(subject, **values)


async def set_up(store: Store) -> None:
    await store.users.add_user(user())
    assert await store.second_steps.set_up(step(), recovery_codes=CODES) is True


async def test_a_second_step_is_kept_and_the_person_says_which(store: Store) -> None:
    await set_up(store)

    assert await store.second_steps.find_second_step("user-1") == step()
    assert await store.second_steps.count_recovery_codes("user-1") == 3
    assert await store.users.find_user("ada") == user(second_step="step-1")
    assert await store.second_steps.list_second_steps() == [step()]
    assert await store.second_steps.find_second_step("user-2") is None
    assert await store.second_steps.count_recovery_codes("user-2") == 0


async def test_of_several_set_up_at_once_one_is_kept_with_its_codes(store: Store) -> None:
    await store.users.add_user(user())
    names = [f"step-{number}" for number in range(5)]

    kept = await asyncio.gather(
        *(store.second_steps.set_up(step(step_id=name), recovery_codes=[fp(name)]) for name in names)
    )

    assert sorted(kept) == [False] * 4 + [True]
    winner = names[kept.index(True)]
    assert await store.second_steps.find_second_step("user-1") == step(step_id=winner)
    assert await store.second_steps.use_recovery_code("user-1", winner, fp(winner)) is True
    assert await store.second_steps.count_recovery_codes("user-1") == 0


async def test_setting_one_up_ends_every_session_and_begins_another_in_one_step(store: Store) -> None:
    await store.users.add_user(user())
    for name in ("own", "elsewhere"):
        await store.browser_sessions.start_session(session(name))
    await store.browser_sessions.start_session(session("bobs", subject="user-2"))

    kept = await store.second_steps.set_up(step(), recovery_codes=CODES, session=session("new"), replaces=fp("own"))

    assert kept is True
    assert await alive(store, "own", "elsewhere", "bobs", "new") == ["bobs", "new"]


async def test_a_session_that_has_ended_sets_nothing_up_and_ends_no_other(store: Store) -> None:
    await store.users.add_user(user())
    await store.browser_sessions.start_session(session("elsewhere"))
    await store.browser_sessions.start_session(session("bobs", subject="user-2"))

    for gone in ("own", "bobs"):
        kept = await store.second_steps.set_up(step(), recovery_codes=CODES, session=session("new"), replaces=fp(gone))
        assert kept is False

    assert await store.second_steps.find_second_step("user-1") is None
    assert await store.users.find_user("ada") == user()
    assert await alive(store, "elsewhere", "bobs", "new") == ["elsewhere", "bobs"]


async def test_of_two_browsers_that_set_one_up_at_once_one_goes_on_logged_in(store: Store) -> None:
    await store.users.add_user(user())
    names = [str(number) for number in range(5)]
    for name in names:
        await store.browser_sessions.start_session(session(name))

    kept = await asyncio.gather(
        *(
            store.second_steps.set_up(
                step(step_id=name), recovery_codes=(), session=session(f"new {name}"), replaces=fp(name)
            )
            for name in names
        )
    )

    assert sorted(kept) == [False] * 4 + [True]
    assert await alive(store, *names, *(f"new {name}" for name in names)) == [f"new {names[kept.index(True)]}"]


async def alive(store: Store, *names: str) -> list[str]:
    found = [await store.browser_sessions.find_session(fp(name), now=NOW) for name in names]
    return [name for name, session in zip(names, found, strict=True) if session is not None]


async def test_nobody_else_than_an_active_local_account_gets_one(store: Store) -> None:
    await store.users.add_user(user())
    await store.users.disable_user("user-1", now=NOW)
    person = await store.users.recognise_user(
        "https://idp.example", "x", display_name=None, subjects=["user-2"], now=NOW
    )

    for subject in ("user-1", person.subject, "nobody"):
        assert await store.second_steps.set_up(step(subject), recovery_codes=CODES) is False
        assert await store.second_steps.find_second_step(subject) is None
        assert await store.second_steps.count_recovery_codes(subject) == 0


async def test_each_time_step_counts_once_and_no_earlier_one_after_it(store: Store) -> None:
    await set_up(store)
    accept = store.second_steps.accept_time_step

    accepted = [await accept("user-1", "step-1", moment) for moment in (100, 99, 101, 101, 100, 103, 102)]

    assert accepted == [False, False, True, False, False, True, False]
    assert await store.second_steps.find_second_step("user-1") == step(last_time_step=103)


async def test_of_many_with_one_code_at_once_one_is_accepted(store: Store) -> None:
    await set_up(store)

    by_app = await asyncio.gather(*(store.second_steps.accept_time_step("user-1", "step-1", 101) for _ in range(20)))
    by_recovery = await asyncio.gather(
        *(store.second_steps.use_recovery_code("user-1", "step-1", CODES[0]) for _ in range(20))
    )

    assert (by_app.count(True), by_recovery.count(True)) == (1, 1)
    assert await store.second_steps.count_recovery_codes("user-1") == 2


async def test_codes_of_another_person_or_another_step_do_nothing(store: Store) -> None:
    await set_up(store)
    await store.users.add_user(user("user-2", "bob"))
    await store.second_steps.set_up(step("user-2", step_id="step-2"), recovery_codes=[fp("bobs")])
    steps = store.second_steps

    assert await steps.use_recovery_code("user-2", "step-2", CODES[0]) is False
    assert await steps.use_recovery_code("user-1", "step-2", CODES[0]) is False
    assert await steps.accept_time_step("user-1", "step-2", 200) is False
    assert await steps.replace_recovery_codes("user-1", "step-2", []) is False
    assert await steps.turn_off("user-1", step_id="step-2") is False
    await steps.reseal_second_step("user-1", "step-2", b"other")

    assert await steps.find_second_step("user-1") == step()
    assert await steps.count_recovery_codes("user-1") == 3
    assert await steps.count_recovery_codes("user-2") == 1


async def test_new_recovery_codes_take_the_place_of_all_earlier_ones(store: Store) -> None:
    await set_up(store)
    await store.second_steps.use_recovery_code("user-1", "step-1", CODES[0])

    assert await store.second_steps.replace_recovery_codes("user-1", "step-1", [fp("new"), CODES[0]]) is True

    used = [
        await store.second_steps.use_recovery_code("user-1", "step-1", code) for code in (CODES[1], fp("new"), CODES[0])
    ]
    assert used == [False, True, True]


async def test_turning_off_forgets_all_of_it_and_another_can_be_set_up(store: Store) -> None:
    await set_up(store)
    await store.users.add_user(user("user-2", "bob"))
    await store.second_steps.set_up(step("user-2", step_id="step-2"), recovery_codes=[fp("bobs")])

    assert await store.second_steps.turn_off("user-1") is True
    assert await store.second_steps.turn_off("user-1") is False

    assert await store.second_steps.find_second_step("user-1") is None
    assert await store.second_steps.count_recovery_codes("user-1") == 0
    assert await store.users.find_user("ada") == user()
    assert await store.second_steps.list_second_steps() == [step("user-2", step_id="step-2")]
    assert await store.second_steps.set_up(step(step_id="step-3"), recovery_codes=[fp("new")]) is True
    assert await store.second_steps.use_recovery_code("user-1", "step-3", CODES[1]) is False
    assert await store.second_steps.turn_off("user-1", step_id="step-3") is True


async def test_a_secret_is_sealed_anew(store: Store) -> None:
    await set_up(store)

    await store.second_steps.reseal_second_step("user-1", "step-1", b"sealed anew")

    assert await store.second_steps.find_second_step("user-1") == step(sealed_secret=b"sealed anew")


async def test_a_disabled_account_and_a_password_that_is_set_keep_the_second_step(store: Store) -> None:
    await set_up(store)

    await store.users.disable_user("user-1", now=NOW)
    await store.users.enable_user("user-1")
    await store.users.change_password("ada", "$new")

    assert await store.users.find_user("ada") == user(second_step="step-1", password_hash="$new")
    assert await store.second_steps.count_recovery_codes("user-1") == 3


async def test_none_is_set_up_for_a_password_alone_once_there_is_a_passkey_for_the_host(store: Store) -> None:
    await store.users.add_user(user())
    await store.passkeys.add_passkey(passkey())
    set_up = store.second_steps.set_up
    assert await set_up(step(), recovery_codes=CODES, no_passkey_at="mcp.example.com") is False
    assert await store.second_steps.find_second_step("user-1") is None
    assert await set_up(step(), recovery_codes=CODES, no_passkey_at="elsewhere.example") is True


async def test_it_stays_on_where_a_passkey_for_the_host_has_to_be_left_and_is_not(store: Store) -> None:
    await set_up(store)
    await store.passkeys.add_passkey(passkey())
    turn_off = store.second_steps.turn_off
    assert await turn_off("user-1", step_id="step-1", keeps_passkey_at="elsewhere.example") is False
    assert await store.second_steps.find_second_step("user-1") == step()
    assert await turn_off("user-1", step_id="step-1", keeps_passkey_at="mcp.example.com") is True


async def test_of_the_second_step_and_the_last_passkey_that_both_go_at_once_one_stays(store: Store) -> None:
    await set_up(store)
    await store.passkeys.add_passkey(passkey())
    host = "mcp.example.com"

    gone = await asyncio.gather(
        store.second_steps.turn_off("user-1", keeps_passkey_at=host),
        store.passkeys.remove_passkey("user-1", b"one", keeps_passkey_at=host),
    )

    assert sorted(gone) == [False, True]
    has_step = await store.second_steps.find_second_step("user-1") is not None
    assert [has_step, bool(await store.passkeys.list_passkeys("user-1"))] in ([True, False], [False, True])


async def test_of_a_second_step_and_a_passkey_that_are_both_to_be_the_first_one_is_kept(store: Store) -> None:
    await store.users.add_user(user())

    kept, added = await asyncio.gather(
        store.second_steps.set_up(step(), recovery_codes=(), no_passkey_at="mcp.example.com"),
        store.passkeys.add_passkey(passkey(), is_first=True),
    )

    assert (kept, added) in ((True, PasskeyAddition.NOT_FIRST), (False, PasskeyAddition.ADDED))
    assert len(await store.passkeys.list_passkeys("user-1")) == (0 if kept else 1)


async def test_who_has_neither_a_second_step_nor_a_passkey_any_more_has_sessions_of_a_password_alone(
    store: Store,
) -> None:
    await set_up(store)
    await store.passkeys.add_passkey(passkey())
    for each in (session("own"), session("bobs", subject="user-2")):
        await store.browser_sessions.start_session(replace(each, has_second_factor=True))

    async def factors() -> list[bool]:
        views = [await store.browser_sessions.find_session(fp(name), now=NOW) for name in ("own", "bobs")]
        return [view is not None and view.session.has_second_factor for view in views]

    assert await store.second_steps.turn_off("user-1") is True
    assert await factors() == [True, True]
    assert await store.passkeys.remove_passkey("user-1", b"another") is False
    assert await factors() == [True, True]
    assert await store.passkeys.remove_passkey("user-1", b"one") is True
    assert await factors() == [False, True]
