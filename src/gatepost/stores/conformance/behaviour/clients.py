"""Clients and their assertions, on every backend."""

import asyncio
from dataclasses import replace

import pytest

from gatepost.oauth.records import Client, ClientOrigin
from gatepost.stores.conformance.records import NOW, approve, client, find_grant, fp, grant, redeem, tokens, transaction
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store

DAY = 24 * 3600


async def test_what_was_looked_up_already_is_completed_without_another_look(store: Store) -> None:
    await store.clients.register_client(client())

    assert await store.clients.complete_client("client-1", client()) == client()
    assert await store.clients.complete_client("client-2", None) is None


async def test_a_registered_client_is_found_as_it_was(store: Store) -> None:
    await store.clients.register_client(client())

    assert await store.clients.find_client("client-1") == client()


async def test_a_client_may_leave_out_what_is_optional(store: Store) -> None:
    bare = client(
        redirect_uris=(),
        grant_types=(),
        response_types=(),
        scope=None,
        client_uri=None,
        logo_uri=None,
        secret_fingerprint=None,
    )
    await store.clients.register_client(bare)

    assert await store.clients.find_client("client-1") == bare


async def test_a_client_has_keys_an_origin_and_a_token_to_manage_it(store: Store) -> None:
    rich = client(
        jwks='{"keys":[]}',
        jwks_uri="https://client.example/jwks",
        origin=ClientOrigin.PREREGISTERED,
        registration_token_fingerprint=fp("management"),
        disabled_at=NOW,
    )
    await store.clients.register_client(rich)

    assert await store.clients.find_client("client-1") == rich


async def test_an_unknown_client_is_none(store: Store) -> None:
    await store.clients.register_client(client())

    assert await store.clients.find_client("client-2") is None


async def test_text_that_looks_like_sql_is_only_text(store: Store) -> None:
    hostile = client("x'; DROP TABLE clients; --", client_name="$1 ? :a \" ' \\ %")
    await store.clients.register_client(hostile)

    assert await store.clients.find_client(hostile.client_id) == hostile


async def test_clients_are_listed_the_oldest_first(store: Store) -> None:
    listed = [client("b", created_at=NOW), client("a", created_at=NOW + 1), client("c", created_at=NOW + 1)]
    for one in reversed(listed):
        await store.clients.register_client(one)

    assert await store.clients.list_clients() == listed


async def test_an_update_replaces_what_the_client_registered_and_nothing_else(store: Store) -> None:
    await store.clients.register_client(client(origin=ClientOrigin.PREREGISTERED))
    changed = client(
        client_name="New",
        redirect_uris=("https://new.example/cb",),
        scope=None,
        secret_fingerprint=fp("new secret"),
        registration_token_fingerprint=fp("new management"),
        jwks='{"keys":[1]}',
    )

    assert await store.clients.update_client(replace(changed, created_at=1, disabled_at=5))

    assert await store.clients.find_client("client-1") == replace(changed, origin=ClientOrigin.PREREGISTERED)


async def test_nothing_is_updated_when_the_client_is_gone_or_disabled(store: Store) -> None:
    assert not await store.clients.update_client(client())
    await store.clients.register_client(client())
    await store.clients.disable_client("client-1", now=NOW)
    assert not await store.clients.update_client(client(client_name="Back again"))

    assert await store.clients.find_client("client-1") == client(disabled_at=NOW)


async def test_a_secret_is_rotated_where_there_is_one(store: Store) -> None:
    await store.clients.register_client(client())
    await store.clients.register_client(client("public", secret_fingerprint=None))

    assert await store.clients.rotate_client_secret("client-1", fp("second"))
    assert not await store.clients.rotate_client_secret("public", fp("second"))
    assert not await store.clients.rotate_client_secret("nobody", fp("second"))

    assert await store.clients.find_client("client-1") == client(secret_fingerprint=fp("second"))
    assert await store.clients.find_client("public") == client("public", secret_fingerprint=None)


@pytest.mark.parametrize("action", ["disable", "remove"])
async def test_a_client_that_is_shut_out_loses_its_grants_codes_and_requests(store: Store, action: str) -> None:
    await store.clients.register_client(client())
    await store.clients.register_client(client("client-2"))
    await redeem(store, "1")
    await redeem(store, "2", client_id="client-2")
    unspent = await approve(store, "3")
    await store.transactions.begin_transaction(transaction("open"))

    if action == "disable":
        assert await store.clients.disable_client("client-1", now=NOW + 5)
        assert await store.clients.disable_client("client-1", now=NOW + 9)
        reason = "client_disabled"
    else:
        assert await store.clients.remove_client("client-1", now=NOW + 5)
        assert not await store.clients.remove_client("client-1", now=NOW + 9)
        reason = "client_removed"

    ended, untouched = await find_grant(store, "grant-1"), await find_grant(store, "grant-2")
    assert ended is not None
    assert (ended.revoked_at, ended.revoked_reason) == (NOW + 5, reason)
    assert untouched is not None
    assert untouched.revoked_at is None
    assert await store.grants.find_code(unspent.code_fingerprint, now=NOW) is None
    assert await store.transactions.find_transaction("open", now=NOW) is None
    late = await store.grants.redeem_code(unspent.code_fingerprint, grant("late"), tokens("late", "late"), now=NOW)
    assert late is RedeemOutcome.LOST_RACE
    kept = await store.clients.find_client("client-1")
    assert kept == (client(disabled_at=NOW + 5) if action == "disable" else None)


async def test_a_client_that_is_known_by_a_document_is_disabled_by_a_placeholder(store: Store) -> None:
    url = "https://app.example/client.json"
    placeholder = client(url, origin=ClientOrigin.DOCUMENT)
    await redeem(store, "1", client_id=url)

    assert not await store.clients.disable_client(url, now=NOW)
    assert await store.clients.disable_client(url, now=NOW, placeholder=placeholder)
    assert await store.clients.disable_client(url, now=NOW + 1, placeholder=placeholder)

    assert await store.clients.find_client(url) == replace(placeholder, disabled_at=NOW)
    kept = await find_grant(store, "grant-1")
    assert kept is not None
    assert kept.revoked_reason == "client_disabled"


async def test_a_client_gets_a_grant_to_itself_unless_it_is_gone_or_disabled(store: Store) -> None:
    own, issued = grant("own", subject="client-1"), replace(tokens("own", "own"), refresh=None)
    assert not await store.clients.give_client_grant(own, issued)
    await store.clients.register_client(client())
    assert await store.clients.give_client_grant(own, issued)
    live = await store.grants.find_access_token(fp("access own"), now=NOW)
    assert live is not None
    assert (live.subject, live.client_id, live.grant_revoked) == ("client-1", "client-1", False)
    await store.clients.disable_client("client-1", now=NOW)
    assert not await store.clients.give_client_grant(grant("next"), replace(tokens("next", "next"), refresh=None))
    assert await find_grant(store, "next") is None


def aged(name: str, **changes: object) -> Client:
    return client(name, created_at=NOW - DAY, **changes)


async def test_clients_that_nobody_uses_go_after_their_time(store: Store) -> None:
    for one in (aged("old"), client("young", created_at=NOW - DAY + 1)):
        await store.clients.register_client(one)

    assert await store.clients.delete_orphans(before=NOW - DAY, limit=10) == 1

    assert [one.client_id for one in await store.clients.list_clients()] == ["young"]


async def test_clients_of_an_operator_and_disabled_ones_stay(store: Store) -> None:
    for one in (
        aged("preregistered", origin=ClientOrigin.PREREGISTERED),
        aged("document", origin=ClientOrigin.DOCUMENT),
        aged("disabled", disabled_at=1),
    ):
        await store.clients.register_client(one)

    assert await store.clients.delete_orphans(before=NOW, limit=10) == 0


async def test_a_client_with_a_live_grant_never_goes(store: Store) -> None:
    await store.clients.register_client(aged("client-1"))
    await redeem(store, "1", expires_at=NOW + 1000 * DAY)

    assert await store.clients.delete_orphans(before=NOW + 999 * DAY, limit=10) == 0


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_a_client_that_was_used_stays_as_long_as_its_last_grant_is_kept(store: Store, end: str) -> None:
    await store.clients.register_client(aged("client-1"))
    await redeem(store, "1", expires_at=NOW + (100 if end == "expired" else 10 * DAY))
    if end == "revoked":
        await store.grants.revoke_grant("grant-1", reason="x", now=NOW + 100)
    # An open request keeps it, too; this one ended with the grant.
    await store.transactions.begin_transaction(transaction("t", client_id="client-1", expires_at=NOW + 100))

    assert await store.clients.delete_orphans(before=NOW + 99, limit=10) == 0
    assert await store.clients.delete_orphans(before=NOW + 29 * DAY, limit=10) == 0
    await store.grants.delete_grants(before=NOW + 10 * DAY, limit=10)
    assert await find_grant(store, "grant-1") is None
    assert await store.clients.delete_orphans(before=NOW + 29 * DAY, limit=10) == 1


async def test_a_client_with_an_open_request_stays(store: Store) -> None:
    await store.clients.register_client(aged("client-1"))
    await store.transactions.begin_transaction(transaction(expires_at=NOW + 10))

    assert await store.clients.delete_orphans(before=NOW + 9, limit=10) == 0
    assert await store.clients.delete_orphans(before=NOW + 10, limit=10) == 1


async def test_a_batch_has_its_limit(store: Store) -> None:
    for number in range(5):
        await store.clients.register_client(aged(f"client-{number}"))

    assert await store.clients.delete_orphans(before=NOW, limit=3) == 3
    assert await store.clients.delete_orphans(before=NOW, limit=3) == 2


async def test_an_assertion_counts_once_for_its_client_until_it_ends(store: Store) -> None:
    assert await store.assertions.remember_jti("client-1", "a", expires_at=NOW + 60, now=NOW)
    assert not await store.assertions.remember_jti("client-1", "a", expires_at=NOW + 60, now=NOW)
    assert not await store.assertions.remember_jti("client-1", "a", expires_at=NOW + 90, now=NOW + 59)
    assert await store.assertions.remember_jti("client-2", "a", expires_at=NOW + 60, now=NOW)
    assert await store.assertions.remember_jti("client-1", "b", expires_at=NOW + 60, now=NOW)
    assert await store.assertions.remember_jti("client-1", "a", expires_at=NOW + 120, now=NOW + 60)


async def test_of_fifty_uses_of_one_assertion_at_once_one_counts(store: Store) -> None:
    answers = await asyncio.gather(
        *(store.assertions.remember_jti("client-1", "a", expires_at=NOW + 60, now=NOW) for _ in range(50))
    )
    assert sorted(answers) == [False] * 49 + [True]


async def test_assertions_that_ended_are_forgotten_in_batches(store: Store) -> None:
    for number in range(5):
        await store.assertions.remember_jti("client-1", str(number), expires_at=NOW + number, now=NOW - 1)

    assert await store.assertions.forget_jtis(before=NOW + 3, limit=3) == 3
    assert await store.assertions.forget_jtis(before=NOW + 3, limit=3) == 1
    assert not await store.assertions.remember_jti("client-1", "4", expires_at=NOW + 9, now=NOW)


async def test_what_may_be_done_with_old_refresh_tokens_is_set_for_one_client(store: Store) -> None:
    await store.clients.register_client(client())
    await store.clients.register_client(client("client-2", refresh_reuse=7))

    assert await store.clients.set_refresh_reuse("client-1", 0)
    assert not await store.clients.set_refresh_reuse("nobody", 0)

    assert await store.clients.find_client("client-1") == client(refresh_reuse=0)
    assert await store.clients.find_client("client-2") == client("client-2", refresh_reuse=7)
    assert await store.clients.set_refresh_reuse("client-1", None)
    assert await store.clients.find_client("client-1") == client()


async def test_a_client_that_changes_its_registration_keeps_what_the_operator_set(store: Store) -> None:
    await store.clients.register_client(client())
    await store.clients.set_refresh_reuse("client-1", 60)

    assert await store.clients.update_client(client(client_name="Another"))

    assert await store.clients.find_client("client-1") == client(client_name="Another", refresh_reuse=60)
