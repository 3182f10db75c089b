"""The public keys of a client: those that it registered, or what its `jwks_uri` serves (RFC 7591 section 2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gatepost.oauth.client_documents import unavailable
from gatepost.oauth.errors import InvalidClient
from gatepost.oauth.fetched_urls import url_problem
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.outbound.document_cache import DocumentCache, Loaded
from gatepost.outbound.fetching import Fetcher, FetchFailed
from gatepost.tokens.client_keys import Key, KeysInvalid, read_keys

MAX_KEY_SET: Final = 64 * 1024
"""Bytes of what a `jwks_uri` serves; certificate chains make such sets large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedClientKeys:
    """Finds the keys of clients."""

    fetcher: Fetcher
    documents: DocumentCache[Sequence[Key]]
    allow_loopback: bool = False

    async def keys_of(self, client: Client, *, newer_than: int | None = None) -> Sequence[Key]:
        """Return the client's keys; none if it has none.

        Args:
            client: the client.
            newer_than: keys that were fetched at or before this time (seconds UTC) are fetched again.

        Raises:
            InvalidClient: what its `jwks_uri` serves is no set of public keys.
            TemporarilyUnavailable: it cannot be fetched.
        """
        if client.jwks is not None:
            return read_keys(json.loads(client.jwks))
        url = client.jwks_uri
        if url is None or url_problem(url, allow_loopback=self.allow_loopback, allow_query=True) is not None:
            return ()
        try:
            return await self.documents.get(url, lambda: self._load(url), newer_than=newer_than)
        except FetchFailed:
            raise unavailable() from None

    async def _load(self, url: str) -> Loaded[Sequence[Key]]:
        fetched = await self.fetcher.fetch(url, limit=MAX_KEY_SET)
        try:
            return Loaded(read_keys(json.loads(fetched.body)), fetched.lifetime)
        except KeysInvalid as error:
            raise InvalidClient(Reason.CLIENT_KEYS_INVALID, f"What the jwks_uri serves {error}.") from None
        except (ValueError, RecursionError):
            raise InvalidClient(Reason.CLIENT_KEYS_INVALID, "What the jwks_uri serves is not JSON.") from None
