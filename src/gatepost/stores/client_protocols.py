"""The store's protocols about clients; `protocols.py` says what holds for every method."""

from __future__ import annotations

from typing import Protocol

from gatepost.oauth.records import Client


class ClientFinder(Protocol):
    """Where a client is looked up, wherever it comes from: the store, or `gatepost.outbound` in front of it."""

    async def find_client(self, client_id: str) -> Client | None:
        """Return the client, or None.

        Raises:
            OAuthError: it is known by a metadata document, and that is refused or cannot be had.
        """


class ClientStore(ClientFinder, Protocol):
    """Registered clients (RFC 7591)."""

    async def register_client(self, client: Client) -> None:
        """Add a client; its id is fresh and random, so there is nothing to collide with."""
