"""Grants as people and operators see them, in memory."""

from __future__ import annotations

from itertools import islice

from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.stores.contract.approvals import GrantListing
from gatepost.stores.memory.records import Records


class MemoryApprovalStore:
    """`ApprovalStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def give_grant(self, grant: Grant, tokens: IssuedTokens) -> None:
        """See `ApprovalStore.give_grant`."""
        self._records.grants[grant.grant_id] = grant
        self._records.access_tokens[tokens.access.token_fingerprint] = tokens.access
        if tokens.refresh is not None:
            self._records.refresh_tokens[tokens.refresh.token_fingerprint] = tokens.refresh

    async def find_grant_of_token(self, token_fingerprint: bytes) -> Grant | None:
        """See `ApprovalStore.find_grant_of_token`."""
        access = self._records.access_tokens.get(token_fingerprint)
        token = access or self._records.refresh_tokens.get(token_fingerprint)
        return None if token is None else self._records.grants.get(token.grant_id)

    async def list_grants(
        self, *, live_at: int | None, subject: str | None, client_id: str | None, limit: int
    ) -> list[GrantListing]:
        """See `ApprovalStore.list_grants`."""
        wanted = (
            grant
            for grant in self._records.grants.values()
            if (live_at is None or (grant.revoked_at is None and grant.expires_at > live_at))
            and subject in {None, grant.subject}
            and client_id in {None, grant.client_id}
        )
        newest_first = sorted(wanted, key=lambda grant: (-grant.created_at, grant.grant_id))
        return [self._listing(grant) for grant in islice(newest_first, limit)]

    def _listing(self, grant: Grant) -> GrantListing:
        client, user = self._records.clients.get(grant.client_id), self._records.users.get(grant.subject)
        return GrantListing(
            grant,
            client_name=None if client is None else client.client_name,
            username=None if user is None else user.username,
        )
