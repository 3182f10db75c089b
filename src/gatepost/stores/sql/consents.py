"""Remembered consent in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.consent import Consent
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import CONSENTS

_REMEMBER: Final = """
    INSERT INTO consents (subject, client_id, redirect_uri, resource, scopes, created_at, expires_at)
    SELECT $1, $2, $3, $4, $5, CAST($6 AS BIGINT), CAST($7 AS BIGINT)
    WHERE NOT EXISTS (SELECT 1 FROM users WHERE subject = $1 AND disabled_at IS NOT NULL)
    ON CONFLICT (subject, client_id, resource, redirect_uri) DO UPDATE SET
        scopes = excluded.scopes, created_at = excluded.created_at, expires_at = excluded.expires_at
"""

_FIND: Final = """
    SELECT * FROM consents
    WHERE subject = $1 AND client_id = $2 AND redirect_uri = $3 AND resource = $4 AND expires_at > $5
"""

FORGET_CONSENTS_OF_SUBJECT: Final = "DELETE FROM consents WHERE subject = $1"
_DELETE_ENDED: Final = delete_ended("consents", "subject, client_id, resource, redirect_uri")


class SqlConsentStore(Operations):
    """`ConsentStore` over a database."""

    @read
    async def find_consent(
        self, transaction: Transaction, subject: str, *, client_id: str, redirect_uri: str, resource: str, now: int
    ) -> Consent | None:
        return await CONSENTS.one(transaction, _FIND, subject, client_id, redirect_uri, resource, now)

    @write
    async def delete_consents(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)


async def insert_consent(transaction: Transaction, consent: Consent) -> None:
    """Keep an approval in place of an earlier one with the same key; not for a user who is disabled."""
    await transaction.run(_REMEMBER, *CONSENTS.values(consent))
