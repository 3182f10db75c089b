"""Clients and their keys, wherever they come from."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gatepost.oauth.errors import InvalidClient, TemporarilyUnavailable
from gatepost.oauth.reasons import Reason
from gatepost.outbound.clients import ClientDirectory, FetchedClientKeys
from gatepost.outbound.document_cache import DocumentCache
from gatepost.outbound.egress import EgressFailed
from gatepost.outbound.fetching import Fault, Fetched, Fetcher, FetchFailed
from gatepost.stores.conformance.records import client
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from tests.tokens.test_client_keys import ED, P256, public

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


def directory(web: Fetcher, store: Store | None = None, **options: Any) -> ClientDirectory:
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
    assert web.fetched == [(URL, 65_536)]


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


JWKS_URL = "https://app.example/jwks?app=1"
INLINE = client(jwks=json.dumps({"keys": [public(P256)]}))
ELSEWHERE = client(jwks_uri=JWKS_URL)


@dataclass
class KeyServer:
    """What a `jwks_uri` serves; None fails."""

    body: bytes | None = field(default_factory=lambda: json.dumps({"keys": [public(ED)]}).encode())
    fetched: list[tuple[str, int]] = field(default_factory=list)

    async def fetch(self, url: str, *, limit: int) -> Fetched:
        self.fetched.append((url, limit))
        if self.body is None:
            raise FetchFailed("address")
        return Fetched(self.body, 300)


def finder(web: KeyServer, **options: Any) -> FetchedClientKeys:
    return FetchedClientKeys(fetcher=web, documents=DocumentCache(now=lambda: 1000), **options)


async def test_registered_keys_need_no_fetch() -> None:
    web = KeyServer()
    assert await finder(web).keys_of(INLINE) == (public(P256),)
    assert await finder(web).keys_of(client()) == ()
    assert web.fetched == []


async def test_a_byte_order_mark_before_keys_is_passed_over() -> None:
    web = KeyServer(b"\xef\xbb\xbf" + json.dumps({"keys": [public(ED)]}).encode())
    assert await finder(web).keys_of(ELSEWHERE) == (public(ED),)


async def test_keys_elsewhere_are_fetched_once_and_again_when_newer_ones_are_needed() -> None:
    web = KeyServer()
    keys = finder(web)
    assert await keys.keys_of(ELSEWHERE) == (public(ED),)
    assert await keys.keys_of(ELSEWHERE, newer_than=999) == (public(ED),)
    assert web.fetched == [(JWKS_URL, 65536)]
    await keys.keys_of(ELSEWHERE, newer_than=1000)
    assert web.fetched == [(JWKS_URL, 65536)] * 2


@pytest.mark.parametrize("url", ["https://localhost/jwks", "https://127.0.0.1/jwks", "http://app.example/jwks"])
async def test_an_address_that_may_not_be_fetched_has_no_keys(url: str) -> None:
    web = KeyServer()
    assert await finder(web).keys_of(client(jwks_uri=url)) == ()
    assert web.fetched == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"[" * 5000, b'{"keys":[]}', json.dumps({"keys": [P256.as_dict(private=True)]}).encode()],
    ids=["empty", "array", "deep", "no key", "a private key"],
)
async def test_what_is_no_set_of_public_keys_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidClient) as refused:
        await finder(KeyServer(body)).keys_of(ELSEWHERE)
    assert refused.value.reason is Reason.CLIENT_KEYS_INVALID


async def test_neither_documents_nor_keys_are_to_blame_where_our_own_way_out_fails() -> None:
    class NoWayOut:
        async def fetch(self, url: str, *, limit: int) -> Fetched:
            raise EgressFailed(f"{url} {limit}", Fault.EGRESS)

    web = NoWayOut()
    keys = FetchedClientKeys(fetcher=web, documents=DocumentCache(now=lambda: 1000))
    for attempt in (directory(web).find_client(URL), keys.keys_of(ELSEWHERE)):
        with pytest.raises(TemporarilyUnavailable) as refused:
            await attempt
        assert refused.value.reason is Reason.EGRESS_UNAVAILABLE
        assert "app.example" not in refused.value.description


async def test_keys_that_cannot_be_had_are_unavailable() -> None:
    with pytest.raises(TemporarilyUnavailable):
        await finder(KeyServer(None)).keys_of(ELSEWHERE)
