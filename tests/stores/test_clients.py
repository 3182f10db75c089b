"""Registered clients, on every backend."""

from gatepost.stores.protocols import Store
from tests.stores.sample_records import client


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


async def test_an_unknown_client_is_none(store: Store) -> None:
    await store.clients.register_client(client())

    assert await store.clients.find_client("client-2") is None


async def test_text_that_looks_like_sql_is_only_text(store: Store) -> None:
    hostile = client("x'; DROP TABLE clients; --", client_name="$1 ? :a \" ' \\ %")
    await store.clients.register_client(hostile)

    assert await store.clients.find_client(hostile.client_id) == hostile
