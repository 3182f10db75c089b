"""What administrators see of people and clients, and what they do to each other, on every backend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gatepost.oauth.records import ClientOrigin
from gatepost.stores.conformance.records import NOW, client, find_grant, fp, grant, session, tokens, user
from gatepost.stores.contract.administration import Administrator, AdminOutcome, NotAdministrator, PersonListing
from gatepost.stores.contract.linked_logins import LinkedLogin
from gatepost.stores.contract.store import Store

ADMIN = "admin"
ADA = Administrator("user-1", ADMIN)
BOB = Administrator("user-2", ADMIN)
NOBODY = Administrator("nobody", None)
Change = Callable[[Store, str, Administrator], Awaitable[AdminOutcome]]
CHANGES: dict[str, Change] = {
    "disable": lambda store, subject, by: store.administration.disable_person(subject, by=by, now=NOW),
    "enable": lambda store, subject, by: store.administration.enable_person(subject, by=by),
    "give": lambda store, subject, by: store.administration.give_role(subject, "user", by=by),
    "take": lambda store, subject, by: store.administration.take_role(subject, ADMIN, by=by),
}


async def add_admins(store: Store) -> None:
    await store.users.add_user(user(roles=(ADMIN,)))
    await store.users.add_user(user("user-2", "bob", roles=(ADMIN, "user")))


async def names(
    store: Store, name_begins: str = "", after: tuple[str, str] | None = None, limit: int = 10
) -> list[str]:
    listed = await store.administration.list_people(name_begins=name_begins, after=after, limit=limit)
    return [each.user.name for each in listed]


async def add_people(store: Store) -> None:
    for number, name in enumerate(("bob", "ada", "adam", "zoë")):
        await store.users.add_user(user(f"user-{number}", name))
    for number, shown in enumerate(("Ada", "ADAM", None)):
        await store.users.recognise_user(
            "issuer", f"x{number}", display_name=shown, subjects=(f"subject-{number}",), now=NOW
        )


async def test_people_come_by_name_whatever_its_case(store: Store) -> None:
    await add_people(store)

    assert await names(store) == ["Ada", "ada", "ADAM", "adam", "bob", "subject-2", "zoë"]
    assert await names(store, "ADA") == ["Ada", "ada", "ADAM", "adam"]
    assert await names(store, "adam") == ["ADAM", "adam"]
    assert await names(store, "%") == await names(store, "adams") == []


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_of_people_follow_each_other_without_gap_or_overlap(store: Store, size: int) -> None:
    await add_people(store)
    seen: list[str] = []
    after: tuple[str, str] | None = None
    while page := await store.administration.list_people(name_begins="", after=after, limit=size):
        seen += [each.user.subject for each in page]
        after = page[-1].place

    assert seen == ["subject-0", "user-1", "subject-1", "user-2", "user-0", "subject-2", "user-3"]


async def test_the_last_login_is_the_latest_one_and_not_one_that_was_confirmed(store: Store) -> None:
    await store.users.add_user(user())
    find = store.administration.find_person
    assert await find("user-1") == PersonListing(user(), None)

    await store.browser_sessions.start_session(session("one"))
    await store.browser_sessions.start_session(replace(session("two"), created_at=NOW - 50))
    confirmed = replace(session("three"), authenticated_at=NOW + 90)
    await store.browser_sessions.start_session(confirmed, replaces=fp("one"))

    assert await find("user-1") == PersonListing(user(), NOW)
    assert await find("nobody") is None


async def test_clients_come_by_name_in_pages(store: Store) -> None:
    for number, name in enumerate(("Notes", "notes helper", "Reader", "Notes")):
        await store.clients.register_client(client(f"client-{number}", client_name=name))

    async def page(name_begins: str, after: tuple[str, str] | None = None) -> list[str]:
        listed = await store.administration.list_clients(name_begins=name_begins, after=after, limit=2)
        return [each.client_id for each in listed]

    assert await page("") == await page("NOTES") == ["client-0", "client-3"]
    assert await page("notes", ("Notes", "client-3")) == ["client-1"]
    assert await page("", ("Notes", "client-3")) == ["client-1", "client-2"]


async def test_an_administrator_disables_somebody_with_all_that_gives_access(store: Store) -> None:
    await add_admins(store)
    await store.browser_sessions.start_session(session(subject="user-2"))
    await store.approvals.give_grant(grant(subject="user-2"), tokens())

    assert await CHANGES["disable"](store, "user-2", ADA) is AdminOutcome.DONE
    assert await CHANGES["disable"](store, "user-2", ADA) is AdminOutcome.UNCHANGED

    found = await store.users.find_user_by_subject("user-2")
    revoked = await find_grant(store, "grant-1")
    assert found is not None
    assert revoked is not None
    assert (found.disabled_at, revoked.revoked_reason) == (NOW, "user_disabled")
    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW) is None
    assert await CHANGES["enable"](store, "user-2", ADA) is AdminOutcome.DONE
    assert await CHANGES["enable"](store, "user-2", ADA) is AdminOutcome.UNCHANGED


async def test_roles_are_given_and_taken(store: Store) -> None:
    await add_admins(store)

    outcomes = [await CHANGES[name](store, "user-2", ADA) for name in ("give", "take", "take", "give")]

    assert outcomes == [AdminOutcome.UNCHANGED, AdminOutcome.DONE, AdminOutcome.UNCHANGED, AdminOutcome.UNCHANGED]
    found = await store.users.find_user_by_subject("user-2")
    assert found is not None
    assert found.roles == ("user",)


@pytest.mark.parametrize("change", CHANGES)
async def test_who_is_an_administrator_no_more_changes_nothing(store: Store, change: str) -> None:
    await add_admins(store)
    await store.users.add_user(user("user-3", "eve", roles=(ADMIN,), disabled_at=NOW))
    before = await store.users.list_users()
    others = (Administrator("user-3", ADMIN), Administrator("user-3", None), Administrator("user-2", "owner"))

    outcomes = {await CHANGES[change](store, "user-1", by) for by in (*others, NOBODY)}

    assert outcomes == {AdminOutcome.NOT_ADMIN}
    assert await store.users.list_users() == before
    assert await CHANGES[change](store, "nobody", ADA) is AdminOutcome.UNKNOWN


async def test_nobody_shuts_themselves_out(store: Store) -> None:
    await add_admins(store)
    before = await store.users.list_users()

    assert await CHANGES["disable"](store, "user-1", ADA) is AdminOutcome.OWN
    assert await CHANGES["disable"](store, "user-1", Administrator("user-1", None)) is AdminOutcome.OWN
    assert await CHANGES["take"](store, "user-1", ADA) is AdminOutcome.OWN
    assert await store.users.list_users() == before

    # By a rule they are an administrator all the same.
    assert await CHANGES["take"](store, "user-1", Administrator("user-1", None)) is AdminOutcome.DONE


@pytest.mark.parametrize(
    "by",
    [Administrator("user-3", ADMIN), Administrator("user-3", None), Administrator("user-2", "owner"), NOBODY],
    ids=["disabled", "disabled, by a rule", "without the role", "unknown"],
)
async def test_what_is_done_in_the_name_of_who_is_no_administrator_is_not_written(
    store: Store, by: Administrator
) -> None:
    await add_admins(store)
    await store.users.add_user(user("user-3", "eve", roles=(ADMIN,), disabled_at=NOW))
    await store.clients.register_client(client())
    theirs = store.in_name_of(by)

    for change in (
        theirs.clients.register_client(client("client-2")),
        theirs.clients.rotate_client_secret("client-1", b"other"),
        theirs.browser_sessions.end_sessions("user-1"),
        theirs.linked_logins.link_login(LinkedLogin("issuer", "x", "user-1", NOW)),
    ):
        with pytest.raises(NotAdministrator):
            await change

    assert await theirs.clients.list_clients() == await store.clients.list_clients() == [client()]
    assert len(await store.linked_logins.list_logins("user-1")) == 1


@pytest.mark.parametrize("by", [ADA, Administrator("user-1", None)], ids=["by the role", "by a rule"])
async def test_what_is_done_in_an_administrators_name_is_written(store: Store, by: Administrator) -> None:
    await add_admins(store)

    await store.in_name_of(by).clients.register_client(client())

    assert await store.clients.find_client("client-1") == client()


async def test_a_role_that_was_given_stays_until_it_is_taken(store: Store) -> None:
    await add_admins(store)
    change = store.administration

    async def roles() -> tuple[str, ...]:
        found = await store.users.find_user_by_subject("user-2")
        assert found is not None
        return found.roles

    assert await change.give_role("user-2", "auditor", by=ADA) is AdminOutcome.DONE
    assert await roles() == (ADMIN, "auditor", "user")
    assert await change.give_role("user-2", "auditor", by=ADA) is AdminOutcome.UNCHANGED
    assert await change.take_role("user-2", "auditor", by=ADA) is AdminOutcome.DONE
    assert await roles() == (ADMIN, "user")
    assert await change.take_role("user-2", "auditor", by=ADA) is AdminOutcome.UNCHANGED


async def test_an_administrator_who_is_disabled_at_once_does_either_all_before_or_nothing(store: Store) -> None:
    await add_admins(store)
    clients = [client(f"client-{number}") for number in range(5)]
    theirs = store.in_name_of(BOB).clients

    disabled, *registered = await asyncio.gather(
        store.administration.disable_person("user-2", by=ADA, now=NOW),
        *(theirs.register_client(each) for each in clients),
        return_exceptions=True,
    )

    assert disabled is AdminOutcome.DONE
    kept = {each.client_id for each in await store.clients.list_clients()}
    done = {each.client_id for each, answer in zip(clients, registered, strict=True) if answer == 0}
    assert kept == done
    assert all(answer == 0 or isinstance(answer, NotAdministrator) for answer in registered)
    with pytest.raises(NotAdministrator):
        await theirs.register_client(client("late"))


@pytest.mark.parametrize("change", ["disable", "take"])
async def test_of_two_who_shut_each_other_out_at_once_one_is_left(store: Store, change: str) -> None:
    await add_admins(store)

    outcomes = await asyncio.gather(CHANGES[change](store, "user-2", ADA), CHANGES[change](store, "user-1", BOB))

    assert sorted(outcome.name for outcome in outcomes) == ["DONE", "NOT_ADMIN"]
    left = [each for each in await store.users.list_users() if ADMIN in each.roles and each.disabled_at is None]
    assert len(left) == 1


async def test_a_client_is_enabled_again_and_one_of_a_document_is_what_its_document_says(store: Store) -> None:
    await store.clients.register_client(client())
    placeholder = client("https://app.example/client.json", origin=ClientOrigin.DOCUMENT)
    await store.clients.disable_client("client-1", now=NOW)
    await store.clients.disable_client(placeholder.client_id, now=NOW, placeholder=placeholder)

    assert await store.clients.enable_client("client-1") is True
    assert await store.clients.enable_client(placeholder.client_id) is True
    assert await store.clients.enable_client("nobody") is False

    assert await store.clients.find_client("client-1") == client()
    assert await store.clients.find_client(placeholder.client_id) is None
