"""Registered clients in memory (RFC 7591)."""

from __future__ import annotations

from gatepost.oauth.records import Client
from gatepost.stores.memory.records import Records


class MemoryClientStore:
    """`ClientStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def register_client(self, client: Client) -> None:
        """See `ClientStore.register_client`."""
        self._records.clients[client.client_id] = client

    async def find_client(self, client_id: str) -> Client | None:
        """See `ClientStore.find_client`."""
        return self._records.clients.get(client_id)
