"""Grants as people and operators see them, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.stores.contract.approvals import GrantListing
from gatepost.stores.sql.database import Database, Transaction, Value
from gatepost.stores.sql.grants import grant_of, insert_grant, insert_tokens

_OF_ACCESS_TOKEN: Final = """
    SELECT grants.* FROM access_tokens JOIN grants ON grants.grant_id = access_tokens.grant_id
    WHERE access_tokens.token_fingerprint = $1
"""

_OF_REFRESH_TOKEN: Final = """
    SELECT grants.* FROM refresh_tokens JOIN grants ON grants.grant_id = refresh_tokens.grant_id
    WHERE refresh_tokens.token_fingerprint = $1
"""

_LISTING: Final = """
    SELECT grants.*, clients.client_name, users.username FROM grants
    LEFT JOIN clients ON clients.client_id = grants.client_id
    LEFT JOIN users ON users.subject = grants.subject
"""


class SqlApprovalStore:
    """`ApprovalStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give_grant(self, grant: Grant, tokens: IssuedTokens) -> None:
        """See `ApprovalStore.give_grant`."""

        async def operation(transaction: Transaction) -> None:
            await insert_grant(transaction, grant)
            await insert_tokens(transaction, tokens)

        await self._database.write(operation)

    async def find_grant_of_token(self, token_fingerprint: bytes) -> Grant | None:
        """See `ApprovalStore.find_grant_of_token`."""

        async def operation(transaction: Transaction) -> Grant | None:
            row = await transaction.one(_OF_ACCESS_TOKEN, token_fingerprint)
            row = row or await transaction.one(_OF_REFRESH_TOKEN, token_fingerprint)
            return None if row is None else grant_of(row)

        return await self._database.read(operation)

    async def list_grants(
        self, *, live_at: int | None, subject: str | None, client_id: str | None, limit: int
    ) -> list[GrantListing]:
        """See `ApprovalStore.list_grants`."""
        parameters: list[Value] = []
        conditions: list[str] = []
        # A condition that is not asked for is not in the statement, so that each combination finds its index.
        for condition, value in (
            ("grants.revoked_at IS NULL AND grants.expires_at > ", live_at),
            ("grants.subject = ", subject),
            ("grants.client_id = ", client_id),
        ):
            if value is not None:
                parameters.append(value)
                conditions.append(f"{condition}${len(parameters)}")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        parameters.append(limit)
        sql = f"{_LISTING}{where} ORDER BY grants.created_at DESC, grants.grant_id LIMIT ${len(parameters)}"

        async def operation(transaction: Transaction) -> list[GrantListing]:
            rows = await transaction.all(sql, *parameters)
            return [GrantListing(grant_of(row), row["client_name"], row["username"]) for row in rows]

        return await self._database.read(operation)
