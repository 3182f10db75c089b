"""Registered clients in SQL (RFC 7591)."""

from __future__ import annotations

import json
from typing import Final

from gatepost.oauth.records import Client
from gatepost.stores.sql.database import Database, Row, Transaction

_INSERT: Final = """
    INSERT INTO clients (
        client_id, client_name, redirect_uris, grant_types, response_types, token_endpoint_auth_method,
        application_type, scope, client_uri, logo_uri, secret_fingerprint, created_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


class SqlClientStore:
    """`ClientStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register_client(self, client: Client) -> None:
        """See `ClientStore.register_client`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(
                _INSERT,
                client.client_id,
                client.client_name,
                json.dumps(client.redirect_uris),
                json.dumps(client.grant_types),
                json.dumps(client.response_types),
                client.token_endpoint_auth_method,
                client.application_type,
                client.scope,
                client.client_uri,
                client.logo_uri,
                client.secret_fingerprint,
                client.created_at,
            )

        await self._database.write(operation)

    async def find_client(self, client_id: str) -> Client | None:
        """See `ClientStore.find_client`."""

        async def operation(transaction: Transaction) -> Client | None:
            return await select_client(transaction, client_id)

        return await self._database.read(operation)


async def select_client(transaction: Transaction, client_id: str) -> Client | None:
    """Return the client, or None."""
    row = await transaction.one("SELECT * FROM clients WHERE client_id = $1", client_id)
    return None if row is None else _client(row)


def _client(row: Row) -> Client:
    return Client(
        client_id=row["client_id"],
        client_name=row["client_name"],
        redirect_uris=tuple(json.loads(row["redirect_uris"])),
        grant_types=tuple(json.loads(row["grant_types"])),
        response_types=tuple(json.loads(row["response_types"])),
        token_endpoint_auth_method=row["token_endpoint_auth_method"],
        application_type=row["application_type"],
        scope=row["scope"],
        client_uri=row["client_uri"],
        logo_uri=row["logo_uri"],
        secret_fingerprint=row["secret_fingerprint"],
        created_at=row["created_at"],
    )
