"""Deleting what is over, and leases, in memory."""

from __future__ import annotations

from itertools import islice

from gatepost.stores.memory.records import Records


class MemoryExpiryStore:
    """`ExpiryStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def delete_transactions(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_transactions`."""
        records = self._records
        live = {code.transaction_id for code in records.codes.values() if code.expires_at > before}
        over = (key for key, record in records.transactions.items() if record.expires_at <= before and key not in live)
        ended = set(islice(over, limit))
        for fingerprint in [key for key, code in records.codes.items() if code.transaction_id in ended]:
            del records.codes[fingerprint]
        for transaction_id in ended:
            del records.transactions[transaction_id]
        return len(ended)

    async def delete_access_tokens(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_access_tokens`."""
        tokens = self._records.access_tokens
        ended = list(islice((key for key, token in tokens.items() if token.expires_at <= before), limit))
        for fingerprint in ended:
            del tokens[fingerprint]
        return len(ended)

    async def delete_refresh_tokens(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_refresh_tokens`."""
        tokens = self._records.refresh_tokens
        ended = list(islice((key for key, token in tokens.items() if token.expires_at <= before), limit))
        for fingerprint in ended:
            del tokens[fingerprint]
        return len(ended)

    async def delete_grants(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_grants`."""
        records = self._records
        ended = [
            grant.grant_id
            for grant in records.grants.values()
            if grant.expires_at <= before or (grant.revoked_at is not None and grant.revoked_at <= before)
        ]
        deleted = 0
        for grant_id in ended:
            for tokens in (records.access_tokens, records.refresh_tokens):
                of_grant = (key for key, token in tokens.items() if token.grant_id == grant_id)
                for fingerprint in list(islice(of_grant, limit - deleted)):
                    tokens.pop(fingerprint)
                    deleted += 1
            if deleted == limit:
                break
            del records.grants[grant_id]
            deleted += 1
        return deleted

    async def delete_browser_sessions(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_browser_sessions`."""
        sessions = self._records.browser_sessions
        ended = list(islice((key for key, session in sessions.items() if session.expires_at <= before), limit))
        for fingerprint in ended:
            del sessions[fingerprint]
        return len(ended)


class MemoryLeaseStore:
    """`LeaseStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def take_lease(self, name: str, *, holder: str, now: int, until: int) -> bool:
        """See `LeaseStore.take_lease`."""
        held_by, ends_at = self._records.leases.get(name, (holder, until))
        if held_by != holder and ends_at > now:
            return False
        self._records.leases[name] = (holder, until)
        return True

    async def return_lease(self, name: str, *, holder: str) -> None:
        """See `LeaseStore.return_lease`."""
        if self._records.leases.get(name, ("", 0))[0] == holder:
            del self._records.leases[name]
