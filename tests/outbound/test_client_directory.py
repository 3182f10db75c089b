"""Clients, wherever they come from."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gatepost.oauth.errors import InvalidClient, TemporarilyUnavailable
from gatepost.oauth.reasons import Reason
from gatepost.outbound.client_directory import ClientDirectory
from gatepost.outbound.document_cache import DocumentCache
from gatepost.outbound.fetching import Fetched, FetchFailed
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from tests.stores.sample_records import client

URL = "https://app.example/client.json"


@dataclass
class Web:
    """What the web would answer; None fails."""

    document: dict[str, Any] | None = field(
        default_factory=lambda: {"client_id": URL, "client_name": "App", "redirect_uris": ["https://app.example/cb"]}
    )
    fetched: list[tuple[str, int]] = field(default_factory=list)

    async def fetch(self, url: str, *, limit: int) -> Fetched:
        self.fetched.append((url, limit))
        if self.document is None:
            raise FetchFailed("address")
        return Fetched(json.dumps(self.document).encode(), 300)


def directory(web: Web, store: Store | None = None, **options: Any) -> ClientDirectory:
    return ClientDirectory(
        registered=(store or memory_store()).clients,
        fetcher=web,
        documents=DocumentCache(now=lambda: 1000),
        known_scopes=(),
        grant_types=("authorization_code",),
        now=lambda: 1000,
        **options,
    )


async def test_a_document_makes_a_client_and_is_fetched_once() -> None:
    web = Web()
    clients = directory(web)
    found = await clients.find_client(URL)
    assert found is not None
    assert (found.client_id, found.client_name, found.created_at) == (URL, "App", 1000)
    assert await clients.find_client(URL) == found
    assert web.fetched == [(URL, 5120)]


async def test_registered_clients_are_the_stores() -> None:
    store, web = memory_store(), Web()
    await store.clients.register_client(client())
    clients = directory(web, store)
    assert await clients.find_client("client-1") == client()
    assert await clients.find_client("client-2") is None
    assert web.fetched == []


async def test_a_url_that_the_operator_registered_is_not_fetched() -> None:
    store, web = memory_store(), Web()
    registered = replace(client(), client_id=URL)
    await store.clients.register_client(registered)
    assert await directory(web, store).find_client(URL) == registered
    assert web.fetched == []


@pytest.mark.parametrize(("url", "domains"), [("https://127.0.0.1/c", ()), (URL, ("other.example",))])
async def test_a_url_that_breaks_a_rule_is_refused_before_anything_is_fetched(
    url: str, domains: tuple[str, ...]
) -> None:
    web = Web()
    with pytest.raises(InvalidClient):
        await directory(web, allowed_domains=domains).find_client(url)
    assert web.fetched == []


async def test_a_document_that_breaks_a_rule_is_refused() -> None:
    with pytest.raises(InvalidClient) as refused:
        await directory(Web({"client_id": "https://evil.example/c"})).find_client(URL)
    assert refused.value.reason is Reason.CLIENT_DOCUMENT_INVALID


async def test_a_document_that_cannot_be_had_is_unavailable_and_not_an_invalid_client() -> None:
    with pytest.raises(TemporarilyUnavailable) as refused:
        await directory(Web(None)).find_client(URL)
    assert refused.value.reason is Reason.CLIENT_DOCUMENT_UNAVAILABLE
