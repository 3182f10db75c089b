"""The clients of this server and their public keys, wherever they are: in the store, or in documents elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.client_documents import (
    MAX_DOCUMENT,
    check_document_url,
    is_document_url,
    read_document,
    unavailable,
)
from gatepost.oauth.errors import InvalidClient
from gatepost.oauth.fetched_urls import url_problem
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.outbound.document_cache import DocumentCache, Loaded
from gatepost.outbound.egress import EgressFailed
from gatepost.outbound.fetching import Fetcher, FetchFailed
from gatepost.stores.contract.clients import ClientFinder
from gatepost.tokens.client_keys import Key, KeysInvalid, read_keys

MAX_KEY_SET: Final = 64 * 1024
"""Bytes of what a `jwks_uri` serves; certificate chains make such sets large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDirectory:
    """`ClientFinder` that also knows Client ID Metadata Documents."""

    registered: ClientFinder
    """What the store holds. It comes first: an operator may register a URL, or disable one."""
    fetcher: Fetcher
    documents: DocumentCache[Client]
    known_scopes: Collection[str]
    """Every scope that any resource has."""
    grant_types: Sequence[str]
    """What clients may register for."""
    now: Callable[[], int]
    allowed_domains: Collection[str] = field(default=())
    """See `check_document_url`."""
    allow_loopback: bool = False

    async def find_client(self, client_id: str) -> Client | None:
        """Return the client, or None.

        Raises:
            InvalidClient: the URL or the document breaks a rule.
            TemporarilyUnavailable: the document could not be fetched.
            StoreUnavailable: the store cannot answer.
        """
        if is_document_url(client_id):  # looked at before the store is asked about it
            check_document_url(client_id, allowed_domains=self.allowed_domains, allow_loopback=self.allow_loopback)
        return await self.complete_client(client_id, await self.registered.find_client(client_id))

    async def complete_client(self, client_id: str, registered: Client | None) -> Client | None:
        """See `ClientFinder`; raises what `find_client` does."""
        if not is_document_url(client_id):
            return registered
        check_document_url(client_id, allowed_domains=self.allowed_domains, allow_loopback=self.allow_loopback)
        if registered is not None:
            return registered
        try:
            return await self.documents.get(client_id, lambda: self._load(client_id))
        except FetchFailed as failure:
            raise unavailable(is_ours=isinstance(failure, EgressFailed)) from None

    async def _load(self, url: str) -> Loaded[Client]:
        fetched = await self.fetcher.fetch(url, limit=MAX_DOCUMENT)
        client = read_document(
            fetched.body, url=url, known_scopes=self.known_scopes, grant_types=self.grant_types, now=self.now()
        )
        return Loaded(client, fetched.lifetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedClientKeys:
    """Finds the keys of clients: those that a client registered, or what its `jwks_uri` serves (RFC 7591 section 2)."""

    fetcher: Fetcher
    documents: DocumentCache[Sequence[Key]]
    allow_loopback: bool = False

    async def keys_of(self, client: Client, *, newer_than: int | None = None) -> Sequence[Key]:
        """Return the client's keys; none if it has none.

        Those that were fetched at `newer_than` (seconds UTC) or before are fetched again.

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
        except FetchFailed as failure:
            raise unavailable(is_ours=isinstance(failure, EgressFailed)) from None

    async def _load(self, url: str) -> Loaded[Sequence[Key]]:
        fetched = await self.fetcher.fetch(url, limit=MAX_KEY_SET)
        try:
            return Loaded(read_keys(json.loads(fetched.body)), fetched.lifetime)
        except KeysInvalid as error:
            raise InvalidClient(Reason.CLIENT_KEYS_INVALID, f"What the jwks_uri serves {error}.") from None
        except (ValueError, RecursionError):
            raise InvalidClient(Reason.CLIENT_KEYS_INVALID, "What the jwks_uri serves is not JSON.") from None
