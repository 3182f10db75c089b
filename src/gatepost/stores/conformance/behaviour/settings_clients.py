"""Holding the clients that the settings name, on every backend."""

from dataclasses import replace
from typing import Any

import pytest

from gatepost.oauth.operator_clients import Reconciliation
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.stores.conformance.behaviour.consents import CONSENT, find
from gatepost.stores.conformance.records import (
    NOW,
    approve,
    client,
    find_grant,
    fp,
    grant,
    redeem,
    remember_consent,
    tokens,
    transaction,
)
from gatepost.stores.contract.store import Store


def named(client_id: str = "client-1", **changes: Any) -> Client:
    return client(client_id, **{"origin": ClientOrigin.SETTINGS, **changes})


async def is_revoked(store: Store, grant_id: str) -> str | None:
    kept = await find_grant(store, grant_id)
    assert kept is not None
    return kept.revoked_reason


async def test_what_the_settings_name_is_there_and_doing_it_twice_is_doing_it_once(store: Store) -> None:
    wanted = [named("a"), named("b")]

    assert await store.clients.keep_settings_clients(wanted, now=NOW) == Reconciliation(added=tuple(wanted))
    later = [replace(one, created_at=NOW + 9) for one in wanted]
    assert await store.clients.keep_settings_clients(later, now=NOW + 9) == Reconciliation()

    assert await store.clients.list_clients() == wanted


async def test_a_changed_entry_changes_the_client_which_keeps_its_grants_and_its_age(store: Store) -> None:
    await store.clients.keep_settings_clients([named()], now=NOW)
    await redeem(store, "1")
    unspent = await approve(store, "2")
    await store.transactions.begin_transaction(transaction("open"))
    changed = named(client_name="New", secret_fingerprint=fp("new"), redirect_uris=("https://new.example/cb",))

    done = await store.clients.keep_settings_clients([replace(changed, created_at=NOW + 9)], now=NOW + 9)

    assert done == Reconciliation(changed=(changed,))
    assert await store.clients.find_client("client-1") == changed
    assert await is_revoked(store, "grant-1") is None
    assert await store.transactions.find_transaction("open", now=NOW) is None
    assert await store.grants.find_code(unspent.code_fingerprint, now=NOW) is None


async def test_a_client_that_loses_a_grant_type_loses_the_grants_of_it(store: Store) -> None:
    both = named(grant_types=("authorization_code", "refresh_token", "client_credentials"))
    await store.clients.keep_settings_clients([both], now=NOW)
    await redeem(store, "1")
    await store.clients.give_client_grant(grant("own", subject="client-1"), replace(tokens("own", "own"), refresh=None))

    await remember_consent(store, CONSENT)

    await store.clients.keep_settings_clients([replace(both, grant_types=("authorization_code",))], now=NOW)
    assert await is_revoked(store, "own") == "client_changed"
    assert await is_revoked(store, "grant-1") is None
    assert await find(store) == CONSENT
    await store.clients.keep_settings_clients([replace(both, grant_types=("client_credentials",))], now=NOW)
    assert await is_revoked(store, "grant-1") == "client_changed"
    assert await find(store) is None


@pytest.mark.parametrize(("scope", "lost"), [("notes:read", True), ("notes:write notes:read x", False), (None, False)])
async def test_a_machine_that_loses_a_scope_loses_the_grants_that_have_it(
    store: Store, scope: str | None, *, lost: bool
) -> None:
    machine = named(grant_types=("client_credentials",), scope="other")
    await store.clients.keep_settings_clients([machine], now=NOW)
    await store.clients.give_client_grant(grant("own", subject="client-1"), replace(tokens("own", "own"), refresh=None))

    await store.clients.keep_settings_clients([replace(machine, scope=scope)], now=NOW)

    assert await is_revoked(store, "own") == ("client_changed" if lost else None)


async def test_an_entry_that_is_gone_takes_the_client_and_its_grants_along(store: Store) -> None:
    await store.clients.register_client(client("dynamic"))
    await store.clients.register_client(client("added", origin=ClientOrigin.PREREGISTERED))
    await store.clients.keep_settings_clients([named(), named("client-2")], now=NOW)
    await redeem(store, "1")
    await redeem(store, "2", client_id="client-2")

    done = await store.clients.keep_settings_clients([named("client-2")], now=NOW + 5)

    assert done == Reconciliation(removed=("client-1",))
    assert {one.client_id for one in await store.clients.list_clients()} == {"dynamic", "added", "client-2"}
    assert await is_revoked(store, "grant-1") == "client_removed"
    assert await is_revoked(store, "grant-2") is None


@pytest.mark.parametrize("origin", [ClientOrigin.DYNAMIC, ClientOrigin.PREREGISTERED, ClientOrigin.DOCUMENT])
async def test_an_id_of_another_client_is_never_taken_over_and_nothing_else_is_done(
    store: Store, origin: ClientOrigin
) -> None:
    await store.clients.register_client(client(origin=origin))
    await store.clients.keep_settings_clients([named("old")], now=NOW)

    done = await store.clients.keep_settings_clients([named("new"), named()], now=NOW)

    assert done == Reconciliation(taken=("client-1",))
    assert {one.client_id for one in await store.clients.list_clients()} == {"client-1", "old"}
    assert await store.clients.find_client("client-1") == client(origin=origin)


async def test_the_settings_enable_what_they_name(store: Store) -> None:
    await store.clients.keep_settings_clients([named()], now=NOW)
    await store.clients.disable_client("client-1", now=NOW)

    assert await store.clients.keep_settings_clients([named()], now=NOW) == Reconciliation(changed=(named(),))


async def test_nobody_using_it_does_not_remove_a_client_of_the_settings(store: Store) -> None:
    await store.clients.keep_settings_clients([named(created_at=1)], now=NOW)

    assert await store.clients.delete_orphans(before=NOW, limit=10) == 0
