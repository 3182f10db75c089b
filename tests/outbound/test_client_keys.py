"""Where the keys of clients come from."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from gatepost.oauth.errors import InvalidClient, TemporarilyUnavailable
from gatepost.oauth.reasons import Reason
from gatepost.outbound.client_keys import FetchedClientKeys
from gatepost.outbound.document_cache import DocumentCache
from gatepost.outbound.fetching import Fetched, FetchFailed
from tests.stores.sample_records import client
from tests.tokens.test_client_keys import ED, P256, public

URL = "https://app.example/jwks?app=1"
INLINE = client(jwks=json.dumps({"keys": [public(P256)]}))
ELSEWHERE = client(jwks_uri=URL)


@dataclass
class Web:
    """What a `jwks_uri` serves; None fails."""

    body: bytes | None = field(default_factory=lambda: json.dumps({"keys": [public(ED)]}).encode())
    fetched: list[tuple[str, int]] = field(default_factory=list)

    async def fetch(self, url: str, *, limit: int) -> Fetched:
        self.fetched.append((url, limit))
        if self.body is None:
            raise FetchFailed("address")
        return Fetched(self.body, 300)


def finder(web: Web, **options: Any) -> FetchedClientKeys:
    return FetchedClientKeys(fetcher=web, documents=DocumentCache(now=lambda: 1000), **options)


async def test_registered_keys_need_no_fetch() -> None:
    web = Web()
    assert await finder(web).keys_of(INLINE) == (public(P256),)
    assert await finder(web).keys_of(client()) == ()
    assert web.fetched == []


async def test_keys_elsewhere_are_fetched_once_and_again_when_newer_ones_are_needed() -> None:
    web = Web()
    keys = finder(web)
    assert await keys.keys_of(ELSEWHERE) == (public(ED),)
    assert await keys.keys_of(ELSEWHERE, newer_than=999) == (public(ED),)
    assert web.fetched == [(URL, 65536)]
    await keys.keys_of(ELSEWHERE, newer_than=1000)
    assert web.fetched == [(URL, 65536)] * 2


@pytest.mark.parametrize("url", ["https://localhost/jwks", "https://127.0.0.1/jwks", "http://app.example/jwks"])
async def test_an_address_that_may_not_be_fetched_has_no_keys(url: str) -> None:
    web = Web()
    assert await finder(web).keys_of(client(jwks_uri=url)) == ()
    assert web.fetched == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[" * 5000, b'{"keys":[]}', json.dumps({"keys": [P256.as_dict(private=True)]}).encode()]
)
async def test_what_is_no_set_of_public_keys_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidClient) as refused:
        await finder(Web(body)).keys_of(ELSEWHERE)
    assert refused.value.reason is Reason.CLIENT_KEYS_INVALID


async def test_keys_that_cannot_be_had_are_unavailable() -> None:
    with pytest.raises(TemporarilyUnavailable):
        await finder(Web(None)).keys_of(ELSEWHERE)
