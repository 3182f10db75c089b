"""Access tokens that were given for others, on every backend (RFC 8693)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from gatepost.oauth.records import ClientOrigin
from gatepost.oauth.token_exchange import ExchangedToken
from gatepost.stores.conformance.records import NOW, client, find_grant, fp, redeem, user
from gatepost.stores.conformance.repeated import REFUSED, Repetition, twice
from gatepost.stores.contract.grants import LiveAccessToken
from gatepost.stores.contract.store import Store

BEHIND = "https://notes.example/behind"
SUBJECT = fp("access 1")


def exchanged(name: str = "1", **changes: Any) -> ExchangedToken:
    """A token whose fingerprint is that of `exchanged NAME`."""
    return replace(
        ExchangedToken(
            token_fingerprint=fp(f"exchanged {name}"),
            grant_id="grant-1",
            client_id="client-x",
            resource=BEHIND,
            scopes=("notes:read",),
            actors=("client-x", "user-2"),
            created_at=NOW,
            expires_at=NOW + 600,
            dpop_jkt="thumbprint",
        ),
        **changes,
    )


REPEATED: Final[dict[str, Repetition]] = {
    "exchanges.give_exchanged_token": twice(lambda s: give(s, exchanged("new", client_id="client-2")), True, REFUSED),
    "exchanges.end_exchanged_token": twice(lambda s: s.exchanges.end_exchanged_token(fp("exchanged 1")), True, False),
    "exchanges.delete_exchanged_tokens": twice(
        lambda s: s.exchanges.delete_exchanged_tokens(before=NOW + 600, limit=9), 1, 0
    ),
}
"""What a second call says, on a store that has something of every concern."""


async def begin(store: Store) -> None:
    """Keep a person's grant with its tokens, and a client that exchanges."""
    await store.users.add_user(user(display_name="Ada"))
    front = client("client-x", client_name="Front", exchange_from=("/a",), exchange_to=("/b", "/c"))
    await store.clients.register_client(front)
    await redeem(store)


async def give(store: Store, token: ExchangedToken | None = None, *, subject: bytes = SUBJECT, now: int = NOW) -> bool:
    given = exchanged() if token is None else token
    return await store.exchanges.give_exchanged_token(given, subject_fingerprint=subject, now=now)


async def look(store: Store, name: str = "1", *, now: int = NOW) -> LiveAccessToken | None:
    return await store.grants.find_access_token(fp(f"exchanged {name}"), now=now)


async def counts(store: Store, name: str = "1") -> bool:
    live = await look(store, name)
    return live is not None and not live.grant_revoked and not live.user_disabled


async def test_an_exchanged_token_says_its_own_and_whose_it_is(store: Store) -> None:
    await begin(store)
    assert await give(store) is True

    assert await store.exchanges.find_exchanged_token(fp("exchanged 1")) == exchanged()
    assert await store.exchanges.find_exchanged_token(SUBJECT) is None
    live = await look(store)
    assert live is not None
    assert (live.subject, live.display_name, live.grant_id) == ("user-1", "Ada", "grant-1")
    assert (live.client_id, live.client_name, live.resource) == ("client-x", "Front", BEHIND)
    assert (live.scopes, live.actors, live.dpop_jkt) == (("notes:read",), ("client-x", "user-2"), "thumbprint")
    assert (live.expires_at, live.grant_revoked, live.user_disabled) == (NOW + 600, False, False)
    assert live.person is not None
    # The one that it was given for stays what it was.
    subject = await store.grants.find_access_token(SUBJECT, now=NOW)
    assert subject is not None
    assert (subject.client_id, subject.actors) == ("client-1", ())


async def test_an_exchanged_token_ends_by_itself_and_with_its_grant(store: Store) -> None:
    await begin(store)
    await give(store)

    assert await look(store, now=NOW + 599) is not None
    assert await look(store, now=NOW + 600) is None
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
    assert await counts(store) is False


async def test_an_exchanged_token_counts_no_longer_than_its_grant(store: Store) -> None:
    await begin(store)
    await give(store, exchanged(expires_at=NOW + 200_000))

    live = await look(store)
    assert live is not None
    assert live.expires_at == NOW + 100_000
    assert await look(store, now=NOW + 100_000) is None


async def test_nothing_is_given_for_what_does_not_count(store: Store) -> None:
    await begin(store)
    await redeem(store, "2")

    assert await give(store, subject=fp("unknown")) is False
    assert await give(store, subject=fp("refresh 1")) is False
    assert await give(store, subject=fp("access 2")) is False  # of another grant
    assert await give(store, now=NOW + 3600) is False
    assert await give(store, exchanged(client_id="client-1")) is False  # which is not there
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
    assert await give(store) is False
    assert await store.exchanges.find_exchanged_token(fp("exchanged 1")) is None


async def test_nothing_is_given_for_a_person_or_to_a_client_that_is_disabled(store: Store) -> None:
    await begin(store)
    await store.clients.disable_client("client-x", now=NOW)
    assert await give(store) is False
    await store.clients.enable_client("client-x")
    assert await give(store) is True
    await store.users.disable_user("user-1", now=NOW)
    assert await give(store, exchanged("2")) is False
    assert await counts(store) is False


async def test_an_exchanged_token_is_exchanged_as_any_other(store: Store) -> None:
    await begin(store)
    await give(store)

    assert await give(store, exchanged("2"), subject=fp("exchanged 1")) is True
    assert await give(store, exchanged("3"), subject=fp("exchanged 1"), now=NOW + 600) is False
    # What was given for it goes on when it ends; the grant ends both.
    assert await store.exchanges.end_exchanged_token(fp("exchanged 1")) is True
    assert await counts(store, "2") is True
    assert await give(store, exchanged("3"), subject=fp("exchanged 1")) is False


async def test_an_exchanged_token_is_ended_alone(store: Store) -> None:
    await begin(store)
    await give(store)
    await give(store, exchanged("2"))

    assert await store.exchanges.end_exchanged_token(SUBJECT) is False
    assert await store.exchanges.end_exchanged_token(fp("exchanged 1")) is True
    assert await look(store) is None
    assert await counts(store, "2") is True
    granted = await find_grant(store, "grant-1")
    assert granted is not None
    assert granted.revoked_at is None


async def test_a_client_that_is_shut_out_loses_what_it_was_given_for_good(store: Store) -> None:
    await begin(store)
    await give(store)
    await store.clients.disable_client("client-x", now=NOW)
    assert await counts(store) is False
    await store.clients.enable_client("client-x")
    assert await look(store) is None

    await give(store)
    await store.clients.remove_client("client-x", now=NOW)
    assert await look(store) is None
    # The person's own goes on.
    assert await store.grants.find_access_token(SUBJECT, now=NOW) is not None


async def test_a_client_that_the_settings_change_loses_what_it_was_given(store: Store) -> None:
    await store.users.add_user(user())
    await redeem(store)
    listed = client("client-x", origin=ClientOrigin.SETTINGS, exchange_from=("/a",), exchange_to=("/b",))
    await store.clients.keep_settings_clients([listed], now=NOW)
    await give(store)
    await store.clients.keep_settings_clients([listed], now=NOW)
    assert await counts(store) is True

    narrower = replace(listed, exchange_to=("/c",))
    await store.clients.keep_settings_clients([narrower], now=NOW)
    assert await look(store) is None
    assert await store.clients.find_client("client-x") == narrower


async def test_what_a_client_may_exchange_is_kept(store: Store) -> None:
    await begin(store)

    found = await store.clients.find_client("client-x")
    assert found is not None
    assert (found.exchange_from, found.exchange_to) == (("/a",), ("/b", "/c"))


async def test_of_tokens_that_are_given_while_the_grant_ends_none_counts_after(store: Store) -> None:
    await begin(store)

    await asyncio.gather(
        *(give(store, exchanged(f"{number}")) for number in range(10)),
        store.grants.revoke_grant("grant-1", reason="asked", now=NOW),
        *(give(store, exchanged(f"{number}")) for number in range(10, 20)),
    )

    assert not any([await counts(store, f"{number}") for number in range(20)])


async def test_exchanged_tokens_go_after_their_end_and_with_their_grant(store: Store) -> None:
    await begin(store)
    await give(store)
    await give(store, exchanged("2", expires_at=NOW + 900))

    assert await store.exchanges.delete_exchanged_tokens(before=NOW + 599, limit=9) == 0
    assert await store.exchanges.delete_exchanged_tokens(before=NOW + 600, limit=9) == 1
    assert await store.exchanges.find_exchanged_token(fp("exchanged 1")) is None
    assert await store.exchanges.find_exchanged_token(fp("exchanged 2")) is not None
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
    # The grant, both tokens of its own and the other one.
    assert await store.grants.delete_grants(before=NOW, limit=9) == 4
    assert await store.exchanges.find_exchanged_token(fp("exchanged 2")) is None
