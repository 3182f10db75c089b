"""Registered clients in SQL (RFC 7591, RFC 7592)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gatepost.oauth.limits import RegistrationBudget, Use
from gatepost.oauth.operator_clients import Reconciliation, lost_grants, reconcile, serves_people
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, Grant, IssuedTokens
from gatepost.stores.contract.wakeups import ACCESS_TAKEN, grant_ended
from gatepost.stores.sql.database import Operations, Transaction, look_up, read, write
from gatepost.stores.sql.device_authorizations import DROP_DEVICES_OF_CLIENT
from gatepost.stores.sql.exchanges import DROP_EXCHANGED_TOKENS_OF_CLIENT
from gatepost.stores.sql.grant_rows import insert_grant
from gatepost.stores.sql.limits import take_uses
from gatepost.stores.sql.pushed_requests import DROP_PUSHED_REQUESTS_OF_CLIENT
from gatepost.stores.sql.tables import CLIENTS, GRANTS

_FIND: Final = "SELECT * FROM clients WHERE client_id = $1"
_ENABLED: Final = "SELECT 1 FROM clients WHERE client_id = $1 AND disabled_at IS NULL"
_REPLACE: Final = f"{CLIENTS.insertion} ON CONFLICT (client_id) DO UPDATE SET {CLIENTS.replacement}"
_INSERT_UNLESS_THERE: Final = f"{CLIENTS.insertion} ON CONFLICT (client_id) DO NOTHING"
_SET_SECRET: Final = """
    UPDATE clients SET secret_fingerprint = $2 WHERE client_id = $1 AND secret_fingerprint IS NOT NULL
"""
_SET_REFRESH_REUSE: Final = "UPDATE clients SET refresh_reuse = $2 WHERE client_id = $1"
_DISABLE: Final = "UPDATE clients SET disabled_at = coalesce(disabled_at, $2), number = NULL WHERE client_id = $1"
_DELETE_PLACEHOLDER: Final = "DELETE FROM clients WHERE client_id = $1 AND origin = 'document'"
_DELETE: Final = "DELETE FROM clients WHERE client_id = $1"

# Its number and the highest are the ends of an index, so it takes no longer where there are many.
_OLDEST_UNUSED: Final = """
    SELECT client_id, created_at, number, (SELECT max(number) FROM clients WHERE number IS NOT NULL) AS newest
    FROM clients WHERE number IS NOT NULL ORDER BY number LIMIT 1
"""
_ALL_REGISTRATIONS: Final = "register:all"

# The codes go with their requests (ON DELETE CASCADE).
_DROP_REQUESTS: Final = "DELETE FROM authorization_transactions WHERE client_id = $1"
_FORGET_CONSENTS: Final = "DELETE FROM consents WHERE client_id = $1"
_REVOKE_GRANTS: Final = """
    UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE client_id = $1 AND revoked_at IS NULL
"""
_REVOKE_GRANT: Final = "UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE grant_id = $1"

# Bounded by the index on registered clients by age; the look-ups of a candidate go by client.
_DELETE_ORPHANS: Final = """
    DELETE FROM clients WHERE client_id IN (
        SELECT client_id FROM clients
        WHERE origin = 'dynamic' AND disabled_at IS NULL AND created_at <= $1
          AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id)
          AND NOT EXISTS (
              SELECT 1 FROM authorization_transactions
              WHERE authorization_transactions.client_id = clients.client_id
                AND authorization_transactions.expires_at > $1
          )
          AND NOT EXISTS (
              SELECT 1 FROM device_authorizations
              WHERE device_authorizations.client_id = clients.client_id AND device_authorizations.expires_at > $1
          )
          AND NOT EXISTS (
              SELECT 1 FROM pushed_requests
              WHERE pushed_requests.client_id = clients.client_id AND pushed_requests.expires_at > $1
          )
        ORDER BY created_at LIMIT $2
    )
"""


class SqlClientStore(Operations):
    """`ClientStore` over a database."""

    @write
    async def register_client(
        self, transaction: Transaction, client: Client, *, budget: RegistrationBudget | None = None
    ) -> int:
        if budget is None:
            await CLIENTS.insert(transaction, client)
            return 0
        now = client.created_at
        oldest = await transaction.one(_OLDEST_UNUSED)
        is_full = oldest is not None and oldest["newest"] - oldest["number"] + 1 >= budget.most_unused
        if oldest is not None and is_full and 0 <= (age := now - oldest["created_at"]) < budget.spared_seconds:
            return int(budget.spared_seconds - age)
        if wait := await take_uses(transaction, [Use(_ALL_REGISTRATIONS, budget.rate)], now=now):
            return wait
        if oldest is not None and is_full:
            await _remove(transaction, oldest["client_id"], now=now)
        await CLIENTS.insert_numbered(transaction, client)
        return 0

    @look_up
    async def find_client(self, transaction: Transaction, client_id: str) -> Client | None:
        return await CLIENTS.one(transaction, _FIND, client_id)

    async def complete_client(self, client_id: str, registered: Client | None) -> Client | None:
        del client_id
        return registered

    @read
    async def list_clients(self, transaction: Transaction) -> list[Client]:
        return await CLIENTS.all(transaction, "SELECT * FROM clients ORDER BY created_at, client_id")

    @write
    async def update_client(self, transaction: Transaction, client: Client) -> bool:
        kept = await CLIENTS.one(transaction, _FIND, client.client_id)
        if kept is None or kept.disabled_at is not None:
            return False
        stays = replace(client, created_at=kept.created_at, origin=kept.origin, refresh_reuse=kept.refresh_reuse)
        await _replace(transaction, replace(stays, disabled_at=None))
        return True

    @write
    async def rotate_client_secret(self, transaction: Transaction, client_id: str, secret_fingerprint: bytes) -> bool:
        return await transaction.run(_SET_SECRET, client_id, secret_fingerprint) > 0

    @write
    async def set_refresh_reuse(self, transaction: Transaction, client_id: str, seconds: int | None) -> bool:
        return await transaction.run(_SET_REFRESH_REUSE, client_id, seconds) > 0

    @write
    async def disable_client(
        self, transaction: Transaction, client_id: str, *, now: int, placeholder: Client | None = None
    ) -> bool:
        if placeholder is not None:
            await transaction.run(_INSERT_UNLESS_THERE, *CLIENTS.values(placeholder))
        if not await transaction.run(_DISABLE, client_id, now):
            return False
        await _shut_out(transaction, client_id, reason=Reason.CLIENT_DISABLED, now=now)
        return True

    @write
    async def enable_client(self, transaction: Transaction, client_id: str) -> bool:
        if await transaction.run(_DELETE_PLACEHOLDER, client_id):
            return True
        return await transaction.run("UPDATE clients SET disabled_at = NULL WHERE client_id = $1", client_id) > 0

    @write
    async def remove_client(self, transaction: Transaction, client_id: str, *, now: int) -> bool:
        return await _remove(transaction, client_id, now=now)

    @write
    async def keep_settings_clients(
        self, transaction: Transaction, wanted: Sequence[Client], *, now: int
    ) -> Reconciliation:
        of_settings = await CLIENTS.all(transaction, "SELECT * FROM clients WHERE origin = 'settings'")
        holders = [await CLIENTS.one(transaction, _FIND, client.client_id) for client in wanted]
        plan = reconcile({kept.client_id: kept for kept in (*of_settings, *holders) if kept is not None}, wanted)
        for client_id in plan.removed:
            await _remove(transaction, client_id, now=now)
        for client in plan.changed:
            await _replace(transaction, client)
            await _take_back(transaction, client, now=now)
        for client in plan.added:
            await CLIENTS.insert(transaction, client)
        return plan

    @write
    async def give_client_grant(self, transaction: Transaction, grant: Grant, tokens: IssuedTokens) -> bool:
        if await transaction.one(_ENABLED, grant.client_id) is None:
            return False
        await insert_grant(transaction, grant, tokens)
        return True

    @write
    async def delete_orphans(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ORPHANS, before, limit)


async def _replace(transaction: Transaction, client: Client) -> None:
    await transaction.run(_REPLACE, *CLIENTS.values(client))


async def _remove(transaction: Transaction, client_id: str, *, now: int) -> bool:
    if not await transaction.run(_DELETE, client_id):
        return False
    await _shut_out(transaction, client_id, reason=Reason.CLIENT_REMOVED, now=now)
    return True


async def _take_back(transaction: Transaction, client: Client, *, now: int) -> None:
    """End what a client that was changed could not get any more, and what it was about to get."""
    await transaction.run(_DROP_REQUESTS, client.client_id)
    await transaction.run(DROP_DEVICES_OF_CLIENT, client.client_id)
    await transaction.run(DROP_PUSHED_REQUESTS_OF_CLIENT, client.client_id)
    if await transaction.run(DROP_EXCHANGED_TOKENS_OF_CLIENT, client.client_id):
        await transaction.notify(ACCESS_TAKEN)
    if not serves_people(client):
        await transaction.run(_FORGET_CONSENTS, client.client_id)
    live = "SELECT * FROM grants WHERE client_id = $1 AND revoked_at IS NULL"
    for grant_id in lost_grants(client, await GRANTS.all(transaction, live, client.client_id)):
        await transaction.run(_REVOKE_GRANT, grant_id, now, Reason.CLIENT_CHANGED.value)
        await transaction.notify(grant_ended(grant_id))


async def _shut_out(transaction: Transaction, client_id: str, *, reason: Reason, now: int) -> None:
    await transaction.run(_DROP_REQUESTS, client_id)
    await transaction.run(DROP_DEVICES_OF_CLIENT, client_id)
    await transaction.run(DROP_PUSHED_REQUESTS_OF_CLIENT, client_id)
    await transaction.run(_FORGET_CONSENTS, client_id)
    exchanged = await transaction.run(DROP_EXCHANGED_TOKENS_OF_CLIENT, client_id)
    if await transaction.run(_REVOKE_GRANTS, client_id, now, reason.value) or exchanged:
        await transaction.notify(ACCESS_TAKEN)
