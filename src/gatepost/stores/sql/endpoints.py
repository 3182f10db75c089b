"""What the servers of a store serve, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.tables import SERVED_ENDPOINTS

_NOTE: Final = f"{SERVED_ENDPOINTS.insertion} ON CONFLICT (path) DO UPDATE SET scopes = excluded.scopes"


class SqlEndpointStore(Operations):
    """`EndpointStore` over a database."""

    @write
    async def note_endpoints(self, transaction: Transaction, endpoints: Sequence[ServedEndpoint]) -> None:
        for endpoint in endpoints:
            await transaction.run(_NOTE, *SERVED_ENDPOINTS.values(endpoint))

    @read
    async def list_endpoints(self, transaction: Transaction) -> list[ServedEndpoint]:
        # Sorted here, by code point, because databases sort text by their own collations.
        every = await SERVED_ENDPOINTS.all(transaction, "SELECT * FROM served_endpoints")
        return sorted(every, key=attrgetter("path"))
