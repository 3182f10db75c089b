"""A client, or a person, shut out while somebody presses Approve gets no code, and nothing is remembered.

Security.md row 31 and what `ClientStore.disable_client` promises, at each moment between the steps of the page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gatepost.oauth.policy import AutoApprove
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome
from tests.attacks.test_unasked_consent import Asking
from tests.web.pages.pages_world import NOTES, REDIRECT_URI, make_world

SHUT_OUT: dict[str, Callable[[Store, str, int], Awaitable[object]]] = {
    "disabled": lambda store, client_id, now: store.clients.disable_client(client_id, now=now),
    "removed": lambda store, client_id, now: store.clients.remove_client(client_id, now=now),
}


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    world = make_world()
    await world.register()
    asking = Asking(world)
    await world.log_in(asking.browser)
    yield asking
    for browser in world.browsers:
        await browser.aclose()


async def is_remembered(asking: Asking) -> bool:
    world = asking.world
    found = await world.store.consents.find_consent(
        "user_ada", client_id="client_1", redirect_uri=REDIRECT_URI, resource=NOTES.identifier, now=world.now
    )
    return found is not None


async def test_an_approval_is_remembered_to_begin_with(asking: Asking) -> None:
    await asking.decide(await asking.ask())
    assert await is_remembered(asking)


@pytest.mark.parametrize("how", SHUT_OUT)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_one_who_is_shut_out_around_the_approval_gets_and_keeps_nothing(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, how: str, moment: str
) -> None:
    world = asking.world
    store: Store = world.store
    page = await asking.ask()
    approve = store.transactions.approve_transaction
    kept: list[AuthorizationCode] = []

    async def meanwhile(record: AuthorizationCode, **options: Any) -> ApproveOutcome:
        kept.append(record)
        if moment == "before":
            await SHUT_OUT[how](store, "client_1", world.now)
        outcome = await approve(record, **options)
        if moment == "after":
            await SHUT_OUT[how](store, "client_1", world.now)
        return outcome

    monkeypatch.setattr(store.transactions, "approve_transaction", meanwhile)
    answer = await asking.decide(page)
    monkeypatch.undo()

    assert answer.status_code == (409 if moment == "before" else 303)
    assert ("location" in answer.headers) == (moment == "after")
    (record,) = kept
    assert await store.grants.find_code(record.code_fingerprint, now=world.now) is None
    assert not await is_remembered(asking)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_person_disabled_around_their_approval_leaves_no_code_that_is_good_once_they_are_enabled(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    world = asking.world
    store: Store = world.store
    page = await asking.ask()
    approve = store.transactions.approve_transaction
    kept: list[AuthorizationCode] = []

    async def meanwhile(record: AuthorizationCode, **options: Any) -> ApproveOutcome:
        kept.append(record)
        if moment == "before":
            await store.users.disable_user("user_ada", now=world.now)
        outcome = await approve(record, **options)
        if moment == "after":
            await store.users.disable_user("user_ada", now=world.now)
        return outcome

    monkeypatch.setattr(store.transactions, "approve_transaction", meanwhile)
    answer = await asking.decide(page)
    monkeypatch.undo()
    await store.users.enable_user("user_ada")

    assert answer.status_code == (403 if moment == "before" else 303)
    assert ("location" in answer.headers) == (moment == "after")
    assert ("Your account is disabled" in answer.text) == (moment == "before")
    (record,) = kept
    assert await store.grants.find_code(record.code_fingerprint, now=world.now) is None
    assert not await is_remembered(asking)


@pytest.mark.parametrize("how", SHUT_OUT)
async def test_one_who_is_shut_out_between_two_clicks_gets_no_second_code(asking: Asking, how: str) -> None:
    world = asking.world
    page = await asking.ask()
    first = await asking.decide(page)
    assert first.headers["location"].startswith(REDIRECT_URI)
    await SHUT_OUT[how](world.store, "client_1", world.now)

    second = await asking.decide(page)

    assert second.status_code == 400
    assert "location" not in second.headers
    assert not await is_remembered(asking)


@pytest.mark.parametrize("how", SHUT_OUT)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_one_who_is_shut_out_around_an_approval_at_once_gets_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, how: str, moment: str
) -> None:
    """Between the look-up of the client and the code nobody is asked, so nothing else would notice."""
    world = make_world(auto_approve=AutoApprove.ALWAYS)
    store = world.store
    await world.register()
    asking = Asking(world)
    await world.log_in(asking.browser)
    await asking.decide(await asking.ask(prompt="consent"))
    approve = store.transactions.approve_at_once
    kept: list[AuthorizationCode] = []

    async def meanwhile(begun: AuthorizationTransaction, record: AuthorizationCode, judged: Client) -> bool:
        kept.append(record)
        if moment == "before":
            await SHUT_OUT[how](store, "client_1", world.now)
        is_approved = await approve(begun, record, judged)
        if moment == "after":
            await SHUT_OUT[how](store, "client_1", world.now)
        return is_approved

    monkeypatch.setattr(store.transactions, "approve_at_once", meanwhile)
    answer = await asking.ask()

    assert answer.status_code == (400 if moment == "before" else 303)
    assert ("location" in answer.headers) == (moment == "after")
    (record,) = kept
    assert await store.grants.find_code(record.code_fingerprint, now=world.now) is None
    assert not await is_remembered(asking)
    await asking.browser.aclose()
