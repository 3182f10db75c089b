"""Registered clients in SQL (RFC 7591, RFC 7592)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, Grant, IssuedTokens
from gatepost.oauth.settings_clients import Reconciliation, lost_grants, reconcile, serves_people
from gatepost.stores.sql.client_rows import client_of, client_values, registered_values, select_client
from gatepost.stores.sql.database import Database, Transaction
from gatepost.stores.sql.grants import grant_of, insert_grant, insert_tokens

_INSERT: Final = """
    INSERT INTO clients (
        client_id, client_name, redirect_uris, grant_types, response_types, token_endpoint_auth_method,
        application_type, scope, client_uri, logo_uri, secret_fingerprint, jwks, jwks_uri,
        registration_token_fingerprint, created_at, origin, disabled_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""

_INSERT_UNLESS_THERE: Final = f"{_INSERT} ON CONFLICT (client_id) DO NOTHING"

_UPDATE: Final = """
    UPDATE clients SET
        client_name = $2, redirect_uris = $3, grant_types = $4, response_types = $5, token_endpoint_auth_method = $6,
        application_type = $7, scope = $8, client_uri = $9, logo_uri = $10, secret_fingerprint = $11, jwks = $12,
        jwks_uri = $13, registration_token_fingerprint = $14
    WHERE client_id = $1 AND disabled_at IS NULL
"""

# The codes go with their requests (ON DELETE CASCADE).
_DROP_REQUESTS: Final = "DELETE FROM authorization_transactions WHERE client_id = $1"
_FORGET_CONSENTS: Final = "DELETE FROM consents WHERE client_id = $1"

# Bounded by the index on registered clients by age; the two look-ups of a candidate go by client.
_DELETE_ORPHANS: Final = """
    DELETE FROM clients WHERE client_id IN (
        SELECT client_id FROM clients
        WHERE origin = 'dynamic' AND disabled_at IS NULL AND created_at <= $1
          AND NOT EXISTS (
              SELECT 1 FROM grants WHERE grants.client_id = clients.client_id
                AND grants.expires_at > $1 AND (grants.revoked_at IS NULL OR grants.revoked_at > $1)
          )
          AND NOT EXISTS (
              SELECT 1 FROM authorization_transactions
              WHERE authorization_transactions.client_id = clients.client_id
                AND authorization_transactions.expires_at > $1
          )
        ORDER BY created_at LIMIT $2
    )
"""


class SqlClientStore:
    """`ClientStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register_client(self, client: Client) -> None:
        """See `ClientStore.register_client`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(_INSERT, *client_values(client))

        await self._database.write(operation)

    async def find_client(self, client_id: str) -> Client | None:
        """See `ClientStore.find_client`."""

        async def operation(transaction: Transaction) -> Client | None:
            return await select_client(transaction, client_id)

        return await self._database.read(operation)

    async def list_clients(self) -> list[Client]:
        """See `ClientStore.list_clients`."""

        async def operation(transaction: Transaction) -> list[Client]:
            return [
                client_of(row) for row in await transaction.all("SELECT * FROM clients ORDER BY created_at, client_id")
            ]

        return await self._database.read(operation)

    async def update_client(self, client: Client) -> bool:
        """See `ClientStore.update_client`."""

        async def operation(transaction: Transaction) -> bool:
            return await transaction.run(_UPDATE, *registered_values(client)) > 0

        return await self._database.write(operation)

    async def rotate_client_secret(self, client_id: str, secret_fingerprint: bytes) -> bool:
        """See `ClientStore.rotate_client_secret`."""

        async def operation(transaction: Transaction) -> bool:
            changed = await transaction.run(
                "UPDATE clients SET secret_fingerprint = $2 WHERE client_id = $1 AND secret_fingerprint IS NOT NULL",
                client_id,
                secret_fingerprint,
            )
            return changed > 0

        return await self._database.write(operation)

    async def disable_client(self, client_id: str, *, now: int, placeholder: Client | None = None) -> bool:
        """See `ClientStore.disable_client`."""

        async def operation(transaction: Transaction) -> bool:
            if placeholder is not None:
                await transaction.run(_INSERT_UNLESS_THERE, *client_values(placeholder))
            changed = await transaction.run(
                "UPDATE clients SET disabled_at = coalesce(disabled_at, $2) WHERE client_id = $1", client_id, now
            )
            if changed:
                await _shut_out(transaction, client_id, reason=Reason.CLIENT_DISABLED, now=now)
            return changed > 0

        return await self._database.write(operation)

    async def remove_client(self, client_id: str, *, now: int) -> bool:
        """See `ClientStore.remove_client`."""

        async def operation(transaction: Transaction) -> bool:
            return await _remove(transaction, client_id, now=now)

        return await self._database.write(operation)

    async def keep_settings_clients(self, wanted: Sequence[Client], *, now: int) -> Reconciliation:
        """See `ClientStore.keep_settings_clients`."""

        async def operation(transaction: Transaction) -> Reconciliation:
            rows = await transaction.all("SELECT * FROM clients WHERE origin = 'settings'")
            kept = {client.client_id: client for client in map(client_of, rows)}
            for client in wanted:
                holder = await select_client(transaction, client.client_id)
                if holder is not None:
                    kept[client.client_id] = holder
            plan = reconcile(kept, wanted)
            for client_id in plan.removed:
                await _remove(transaction, client_id, now=now)
            for client in plan.changed:
                await transaction.run("DELETE FROM clients WHERE client_id = $1", client.client_id)
                await _take_back(transaction, client, now=now)
            for client in (*plan.added, *plan.changed):
                await transaction.run(_INSERT, *client_values(client))
            return plan

        return await self._database.write(operation)

    async def give_client_grant(self, grant: Grant, tokens: IssuedTokens) -> bool:
        """See `ClientStore.give_client_grant`."""

        async def operation(transaction: Transaction) -> bool:
            enabled = await transaction.one(
                "SELECT 1 FROM clients WHERE client_id = $1 AND disabled_at IS NULL", grant.client_id
            )
            if enabled is None:
                return False
            await insert_grant(transaction, grant)
            await insert_tokens(transaction, tokens)
            return True

        return await self._database.write(operation)

    async def delete_orphans(self, *, before: int, limit: int) -> int:
        """See `ClientStore.delete_orphans`."""

        async def operation(transaction: Transaction) -> int:
            return await transaction.run(_DELETE_ORPHANS, before, limit)

        return await self._database.write(operation)


async def _remove(transaction: Transaction, client_id: str, *, now: int) -> bool:
    changed = await transaction.run("DELETE FROM clients WHERE client_id = $1", client_id)
    if changed:
        await _shut_out(transaction, client_id, reason=Reason.CLIENT_REMOVED, now=now)
    return changed > 0


async def _take_back(transaction: Transaction, client: Client, *, now: int) -> None:
    """End what a client that was changed could not get any more, and what it was about to get."""
    await transaction.run(_DROP_REQUESTS, client.client_id)
    if not serves_people(client):
        await transaction.run(_FORGET_CONSENTS, client.client_id)
    rows = await transaction.all("SELECT * FROM grants WHERE client_id = $1 AND revoked_at IS NULL", client.client_id)
    for grant_id in lost_grants(client, map(grant_of, rows)):
        await transaction.run(
            "UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE grant_id = $1",
            grant_id,
            now,
            Reason.CLIENT_CHANGED.value,
        )


async def _shut_out(transaction: Transaction, client_id: str, *, reason: Reason, now: int) -> None:
    await transaction.run(_DROP_REQUESTS, client_id)
    await transaction.run(_FORGET_CONSENTS, client_id)
    await transaction.run(
        "UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE client_id = $1 AND revoked_at IS NULL",
        client_id,
        now,
        reason.value,
    )
