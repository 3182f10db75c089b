"""Remembered consent in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.consent import Consent
from gatepost.stores.sql.database import Database, Row, Transaction

_REMEMBER: Final = """
    INSERT INTO consents (subject, client_id, redirect_uri, resource, scopes, created_at, expires_at)
    SELECT $1, $2, $3, $4, $5, CAST($6 AS BIGINT), CAST($7 AS BIGINT)
    WHERE NOT EXISTS (SELECT 1 FROM users WHERE subject = $1 AND disabled_at IS NOT NULL)
    ON CONFLICT (subject, client_id, resource, redirect_uri) DO UPDATE SET
        scopes = excluded.scopes, created_at = excluded.created_at, expires_at = excluded.expires_at
"""

_DELETE: Final = """
    DELETE FROM consents WHERE (subject, client_id, resource, redirect_uri) IN (
        SELECT subject, client_id, resource, redirect_uri FROM consents
        WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    )
"""


class SqlConsentStore:
    """`ConsentStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_consent(
        self, subject: str, *, client_id: str, redirect_uri: str, resource: str, now: int
    ) -> Consent | None:
        """See `ConsentStore.find_consent`."""

        async def operation(transaction: Transaction) -> Consent | None:
            row = await transaction.one(
                "SELECT * FROM consents "
                "WHERE subject = $1 AND client_id = $2 AND redirect_uri = $3 AND resource = $4 AND expires_at > $5",
                subject,
                client_id,
                redirect_uri,
                resource,
                now,
            )
            return None if row is None else _consent(row)

        return await self._database.read(operation)

    async def remember_consent(self, consent: Consent) -> None:
        """See `ConsentStore.remember_consent`."""

        async def operation(transaction: Transaction) -> None:
            await insert_consent(transaction, consent)

        await self._database.write(operation)

    async def delete_consents(self, *, before: int, limit: int) -> int:
        """See `ConsentStore.delete_consents`."""

        async def operation(transaction: Transaction) -> int:
            return await transaction.run(_DELETE, before, limit)

        return await self._database.write(operation)


async def insert_consent(transaction: Transaction, consent: Consent) -> None:
    """Keep an approval in place of an earlier one with the same key; not for a user who is disabled."""
    await transaction.run(
        _REMEMBER,
        consent.subject,
        consent.client_id,
        consent.redirect_uri,
        consent.resource,
        " ".join(consent.scopes),
        consent.created_at,
        consent.expires_at,
    )


def _consent(row: Row) -> Consent:
    return Consent(
        subject=row["subject"],
        client_id=row["client_id"],
        redirect_uri=row["redirect_uri"],
        resource=row["resource"],
        scopes=tuple(row["scopes"].split()),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
