"""Opening, checking, describing and closing, on every backend."""

from gatepost.stores.conformance.records import client
from gatepost.stores.contract.store import Store


async def test_an_open_store_passes_its_check_again_and_again(store: Store) -> None:
    await store.check()
    await store.check()


async def test_closing_twice_is_fine(store: Store) -> None:
    await store.close()
    await store.close()


async def test_the_description_is_one_line_for_people(store: Store) -> None:
    assert len(store.description.splitlines()) == 1
    assert "@" not in store.description


async def test_a_check_leaves_the_records_alone(store: Store) -> None:
    await store.clients.register_client(client())

    await store.check()

    assert await store.clients.find_client("client-1") == client()
