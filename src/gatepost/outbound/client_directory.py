"""The clients of this server, wherever they come from: registered ones in the store, others by their documents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from gatepost.oauth.client_documents import (
    MAX_DOCUMENT,
    check_document_url,
    is_document_url,
    read_document,
    unavailable,
)
from gatepost.oauth.records import Client
from gatepost.outbound.document_cache import DocumentCache, Loaded
from gatepost.outbound.fetching import Fetcher, FetchFailed
from gatepost.stores.contract.clients import ClientFinder


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
        if not is_document_url(client_id):
            return await self.registered.find_client(client_id)
        check_document_url(client_id, allowed_domains=self.allowed_domains, allow_loopback=self.allow_loopback)
        client = await self.registered.find_client(client_id)
        if client is not None:
            return client
        try:
            return await self.documents.get(client_id, lambda: self._load(client_id))
        except FetchFailed:
            raise unavailable() from None

    async def _load(self, url: str) -> Loaded[Client]:
        fetched = await self.fetcher.fetch(url, limit=MAX_DOCUMENT)
        client = read_document(
            fetched.body, url=url, known_scopes=self.known_scopes, grant_types=self.grant_types, now=self.now()
        )
        return Loaded(client, fetched.lifetime)
