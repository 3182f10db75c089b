"""Registered clients, and the assertions they have used, in memory (RFC 7591, RFC 7592, RFC 7523)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientOrigin, Grant, IssuedTokens
from gatepost.oauth.settings_clients import Reconciliation, lost_grants, reconcile, serves_people
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

    async def list_clients(self) -> list[Client]:
        """See `ClientStore.list_clients`."""
        return sorted(self._records.clients.values(), key=lambda client: (client.created_at, client.client_id))

    async def update_client(self, client: Client) -> bool:
        """See `ClientStore.update_client`."""
        kept = self._enabled(client.client_id)
        if kept is None:
            return False
        self._records.clients[client.client_id] = replace(
            client, origin=kept.origin, created_at=kept.created_at, disabled_at=None
        )
        return True

    async def rotate_client_secret(self, client_id: str, secret_fingerprint: bytes) -> bool:
        """See `ClientStore.rotate_client_secret`."""
        client = self._records.clients.get(client_id)
        if client is None or client.secret_fingerprint is None:
            return False
        self._records.clients[client_id] = replace(client, secret_fingerprint=secret_fingerprint)
        return True

    async def disable_client(self, client_id: str, *, now: int, placeholder: Client | None = None) -> bool:
        """See `ClientStore.disable_client`."""
        client = self._records.clients.get(client_id, placeholder)
        if client is None:
            return False
        if client.disabled_at is None:
            client = replace(client, disabled_at=now)
        self._records.clients[client_id] = client
        self._shut_out(client_id, reason=Reason.CLIENT_DISABLED, now=now)
        return True

    async def remove_client(self, client_id: str, *, now: int) -> bool:
        """See `ClientStore.remove_client`."""
        if self._records.clients.pop(client_id, None) is None:
            return False
        self._shut_out(client_id, reason=Reason.CLIENT_REMOVED, now=now)
        return True

    async def keep_settings_clients(self, wanted: Sequence[Client], *, now: int) -> Reconciliation:
        """See `ClientStore.keep_settings_clients`."""
        clients = self._records.clients
        wanted_ids = {client.client_id for client in wanted}
        kept = {
            client_id: client
            for client_id, client in clients.items()
            if client_id in wanted_ids or client.origin is ClientOrigin.SETTINGS
        }
        plan = reconcile(kept, wanted)
        for client_id in plan.removed:
            await self.remove_client(client_id, now=now)
        for client in (*plan.added, *plan.changed):
            clients[client.client_id] = client
        for client in plan.changed:
            self._take_back(client, now=now)
        return plan

    async def give_client_grant(self, grant: Grant, tokens: IssuedTokens) -> bool:
        """See `ClientStore.give_client_grant`."""
        if self._enabled(grant.client_id) is None:
            return False
        self._records.grants[grant.grant_id] = grant
        self._records.access_tokens[tokens.access.token_fingerprint] = tokens.access
        return True

    async def delete_orphans(self, *, before: int, limit: int) -> int:
        """See `ClientStore.delete_orphans`."""
        records = self._records
        used = {
            grant.client_id
            for grant in records.grants.values()
            if grant.expires_at > before and (grant.revoked_at is None or grant.revoked_at > before)
        }
        used |= {request.client_id for request in records.transactions.values() if request.expires_at > before}
        orphans = (
            client.client_id
            for client in records.clients.values()
            if client.origin is ClientOrigin.DYNAMIC
            and client.disabled_at is None
            and client.created_at <= before
            and client.client_id not in used
        )
        gone = list(islice(orphans, limit))
        for client_id in gone:
            del records.clients[client_id]
        return len(gone)

    def _enabled(self, client_id: str) -> Client | None:
        client = self._records.clients.get(client_id)
        return None if client is None or client.disabled_at is not None else client

    def _take_back(self, client: Client, *, now: int) -> None:
        """End what a client that was changed could not get any more, and what it was about to get."""
        self._drop_requests(client.client_id)
        if not serves_people(client):
            self._forget_consents(client.client_id)
        live = [grant for grant in self._records.grants.values() if grant.client_id == client.client_id]
        for grant_id in lost_grants(client, live):
            self._revoke(grant_id, reason=Reason.CLIENT_CHANGED, now=now)

    def _shut_out(self, client_id: str, *, reason: Reason, now: int) -> None:
        self._drop_requests(client_id)
        self._forget_consents(client_id)
        for grant in self._records.grants.values():
            if grant.client_id == client_id:
                self._revoke(grant.grant_id, reason=reason, now=now)

    def _drop_requests(self, client_id: str) -> None:
        records = self._records
        dropped = {key for key, request in records.transactions.items() if request.client_id == client_id}
        for transaction_id in dropped:
            del records.transactions[transaction_id]
        for key in [key for key, code in records.codes.items() if code.transaction_id in dropped]:
            del records.codes[key]

    def _forget_consents(self, client_id: str) -> None:
        records = self._records
        records.consents = {key: kept for key, kept in records.consents.items() if kept.client_id != client_id}

    def _revoke(self, grant_id: str, *, reason: Reason, now: int) -> None:
        grant = self._records.grants[grant_id]
        if grant.revoked_at is None:
            self._records.grants[grant_id] = replace(grant, revoked_at=now, revoked_reason=reason.value)


class MemoryAssertionStore:
    """`AssertionStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def remember_jti(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        """See `AssertionStore.remember_jti`."""
        if self._records.assertions.get((client_id, jti), now) > now:
            return False
        self._records.assertions[client_id, jti] = expires_at
        return True

    async def forget_jtis(self, *, before: int, limit: int) -> int:
        """See `AssertionStore.forget_jtis`."""
        over = (key for key, expires_at in self._records.assertions.items() if expires_at <= before)
        gone = list(islice(over, limit))
        for key in gone:
            del self._records.assertions[key]
        return len(gone)
