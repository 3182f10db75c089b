"""Codes, grants and tokens in SQL (RFC 6749 sections 4.1.3, 5 and 6; RFC 7009)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AccessToken, AuthorizationCode, Grant, IssuedTokens, RefreshToken
from gatepost.stores.contract.grants import (
    GrantView,
    LiveAccessToken,
    RedeemOutcome,
    RefreshView,
    RotateOutcome,
    Rotation,
)
from gatepost.stores.sql.client_rows import select_client
from gatepost.stores.sql.database import Database, Row, Transaction

# A code whose user has been disabled since the approval cannot be spent.
_SPEND_CODE: Final = """
    UPDATE authorization_codes SET grant_id = $2
    WHERE code_fingerprint = $1 AND grant_id IS NULL AND expires_at > $3
      AND NOT EXISTS (
          SELECT 1 FROM users WHERE users.subject = authorization_codes.subject AND users.disabled_at IS NOT NULL
      )
"""

_SPEND_REFRESH_TOKEN: Final = """
    UPDATE refresh_tokens SET spent_at = $2, successor_fingerprint = $3, sealed_successor = $4
    WHERE token_fingerprint = $1
"""

_FORGET_CONSENTS: Final = """
    DELETE FROM consents WHERE (subject, client_id, resource) IN (
        SELECT subject, client_id, resource FROM grants WHERE grant_id = $1
    )
"""

_INSERT_GRANT: Final = """
    INSERT INTO grants (
        grant_id, subject, client_id, resource, scopes, created_at, expires_at, revoked_at, revoked_reason
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""

_INSERT_ACCESS_TOKEN: Final = """
    INSERT INTO access_tokens (token_fingerprint, grant_id, scopes, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5)
"""

_INSERT_REFRESH_TOKEN: Final = """
    INSERT INTO refresh_tokens (
        token_fingerprint, grant_id, created_at, expires_at, spent_at, successor_fingerprint, sealed_successor
    ) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

# One statement, one snapshot, four look-ups by primary or unique key: as fast with a million rows as with a thousand.
_LIVE_ACCESS_TOKEN: Final = """
    SELECT
        access_tokens.scopes, access_tokens.expires_at, grants.expires_at AS grant_expires_at, grants.grant_id,
        grants.subject, grants.client_id, grants.resource, grants.revoked_at,
        clients.client_name, users.username, users.disabled_at
    FROM access_tokens
    JOIN grants ON grants.grant_id = access_tokens.grant_id
    LEFT JOIN clients ON clients.client_id = grants.client_id
    LEFT JOIN users ON users.subject = grants.subject
    WHERE access_tokens.token_fingerprint = $1 AND access_tokens.expires_at > $2 AND grants.expires_at > $2
"""

_REFRESH_TOKEN: Final = "SELECT * FROM refresh_tokens WHERE token_fingerprint = $1"

_GRANT: Final = """
    SELECT grants.*, users.disabled_at FROM grants LEFT JOIN users ON users.subject = grants.subject
    WHERE grants.grant_id = $1
"""

# A refresh token that may still be judged: neither it nor its grant is over, its user is not disabled.
_LIVE_REFRESH_TOKEN: Final = """
    SELECT
        refresh_tokens.grant_id, refresh_tokens.spent_at, refresh_tokens.sealed_successor,
        successors.token_fingerprint AS successor_fingerprint, successors.spent_at AS successor_spent_at
    FROM refresh_tokens
    JOIN grants ON grants.grant_id = refresh_tokens.grant_id
    LEFT JOIN users ON users.subject = grants.subject
    LEFT JOIN refresh_tokens AS successors ON successors.token_fingerprint = refresh_tokens.successor_fingerprint
    WHERE refresh_tokens.token_fingerprint = $1 AND refresh_tokens.expires_at > $2
      AND grants.expires_at > $2 AND grants.revoked_at IS NULL AND users.disabled_at IS NULL
"""


class SqlGrantStore:
    """`GrantStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_code(self, code_fingerprint: bytes, *, now: int) -> AuthorizationCode | None:
        """See `GrantStore.find_code`."""

        async def operation(transaction: Transaction) -> AuthorizationCode | None:
            row = await transaction.one(
                "SELECT * FROM authorization_codes WHERE code_fingerprint = $1 AND expires_at > $2",
                code_fingerprint,
                now,
            )
            return None if row is None else _authorization_code(row)

        return await self._database.read(operation)

    async def count_failed_redemption(self, code_fingerprint: bytes) -> None:
        """See `GrantStore.count_failed_redemption`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(
                "UPDATE authorization_codes SET failed_attempts = failed_attempts + 1 WHERE code_fingerprint = $1",
                code_fingerprint,
            )

        await self._database.write(operation)

    async def redeem_code(
        self, code_fingerprint: bytes, grant: Grant, tokens: IssuedTokens, *, now: int
    ) -> RedeemOutcome:
        """See `GrantStore.redeem_code`."""

        async def operation(transaction: Transaction) -> RedeemOutcome:
            if await transaction.run(_SPEND_CODE, code_fingerprint, grant.grant_id, now) == 0:
                return RedeemOutcome.LOST_RACE
            await insert_grant(transaction, grant)
            await insert_tokens(transaction, tokens)
            return RedeemOutcome.REDEEMED

        return await self._database.write(operation)

    async def find_refresh_token(self, token_fingerprint: bytes) -> RefreshToken | None:
        """See `GrantStore.find_refresh_token`."""

        async def operation(transaction: Transaction) -> RefreshToken | None:
            row = await transaction.one(_REFRESH_TOKEN, token_fingerprint)
            return None if row is None else _refresh_token(row)

        return await self._database.read(operation)

    async def find_grant(self, grant_id: str) -> GrantView | None:
        """See `GrantStore.find_grant`."""

        async def operation(transaction: Transaction) -> GrantView | None:
            row = await transaction.one(_GRANT, grant_id)
            if row is None:
                return None
            client = await select_client(transaction, row["client_id"])
            return GrantView(grant=grant_of(row), client=client, user_disabled=row["disabled_at"] is not None)

        return await self._database.read(operation)

    async def find_refresh(self, token_fingerprint: bytes) -> RefreshView | None:
        """See `GrantStore.find_refresh`."""

        async def operation(transaction: Transaction) -> RefreshView | None:
            row = await transaction.one(_REFRESH_TOKEN, token_fingerprint)
            if row is None:
                return None
            token = _refresh_token(row)
            # Never None: the row before refers to it, and both are read from one snapshot.
            row = await transaction.one(_GRANT, token.grant_id)
            return None if row is None else RefreshView(token, grant_of(row), row["disabled_at"] is not None)

        return await self._database.read(operation)

    async def rotate_refresh_token(
        self,
        token_fingerprint: bytes,
        successor: IssuedTokens,
        sealed_successor: bytes,
        *,
        now: int,
        window: int,
    ) -> Rotation:
        """See `GrantStore.rotate_refresh_token`."""
        refresh = successor.refresh
        if refresh is None:
            raise ValueError("a rotation's successor needs a refresh token")

        async def operation(transaction: Transaction) -> Rotation:
            # 1. Unknown, expired, revoked, disabled: nothing to spend and nobody to punish.
            row = await transaction.one(_LIVE_REFRESH_TOKEN, token_fingerprint, now)
            if row is None:
                return Rotation(RotateOutcome.DEAD)
            # 2. Unspent: spend it and keep its successors.
            if row["spent_at"] is None:
                await transaction.run(
                    _SPEND_REFRESH_TOKEN, token_fingerprint, now, refresh.token_fingerprint, sealed_successor
                )
                await insert_tokens(transaction, successor)
                return Rotation(RotateOutcome.ROTATED)
            # 3. Spent a moment ago and nobody has used what came of it: the answer was lost, or two honest uses met.
            successor_is_unused = row["successor_fingerprint"] is not None and row["successor_spent_at"] is None
            if now - row["spent_at"] <= window and successor_is_unused:
                return Rotation(RotateOutcome.REPEATED, row["sealed_successor"])
            # 4. Anything else is reuse: one of two holders is a thief, nobody knows which (RFC 9700 section 4.14.2).
            await _revoke_grant(transaction, row["grant_id"], reason=Reason.REFRESH_TOKEN_REUSED.value, now=now)
            return Rotation(RotateOutcome.REUSED)

        return await self._database.write(operation)

    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        """See `GrantStore.find_access_token`."""

        async def operation(transaction: Transaction) -> LiveAccessToken | None:
            row = await transaction.one(_LIVE_ACCESS_TOKEN, token_fingerprint, now)
            return None if row is None else _live_access_token(row)

        return await self._database.read(operation)

    async def revoke_grant(self, grant_id: str, *, reason: str, now: int) -> bool:
        """See `GrantStore.revoke_grant`."""

        async def operation(transaction: Transaction) -> bool:
            if await _revoke_grant(transaction, grant_id, reason=reason, now=now):
                return True
            return await transaction.one("SELECT 1 FROM grants WHERE grant_id = $1", grant_id) is not None

        return await self._database.write(operation)


async def _revoke_grant(transaction: Transaction, grant_id: str, *, reason: str, now: int) -> bool:
    """Mark the grant; its tokens are checked through it, so one row is enough. False if it is marked or unknown."""
    changed = await transaction.run(
        "UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE grant_id = $1 AND revoked_at IS NULL",
        grant_id,
        now,
        reason,
    )
    if changed == 0:
        return False
    # Who takes access away is asked before it is given again.
    await transaction.run(_FORGET_CONSENTS, grant_id)
    return True


async def insert_grant(transaction: Transaction, grant: Grant) -> None:
    """Add the grant's row."""
    await transaction.run(
        _INSERT_GRANT,
        grant.grant_id,
        grant.subject,
        grant.client_id,
        grant.resource,
        " ".join(grant.scopes),
        grant.created_at,
        grant.expires_at,
        grant.revoked_at,
        grant.revoked_reason,
    )


async def insert_tokens(transaction: Transaction, tokens: IssuedTokens) -> None:
    """Add the rows of tokens; their grant's is there."""
    access: AccessToken = tokens.access
    await transaction.run(
        _INSERT_ACCESS_TOKEN,
        access.token_fingerprint,
        access.grant_id,
        " ".join(access.scopes),
        access.created_at,
        access.expires_at,
    )
    refresh: RefreshToken | None = tokens.refresh
    if refresh is None:
        return
    await transaction.run(
        _INSERT_REFRESH_TOKEN,
        refresh.token_fingerprint,
        refresh.grant_id,
        refresh.created_at,
        refresh.expires_at,
        refresh.spent_at,
        refresh.successor_fingerprint,
        refresh.sealed_successor,
    )


def _authorization_code(row: Row) -> AuthorizationCode:
    return AuthorizationCode(
        code_fingerprint=row["code_fingerprint"],
        transaction_id=row["transaction_id"],
        client_id=row["client_id"],
        redirect_uri=row["redirect_uri"],
        redirect_uri_was_sent=bool(row["redirect_uri_was_sent"]),
        scopes=tuple(row["scopes"].split()),
        resource=row["resource"],
        code_challenge=row["code_challenge"],
        subject=row["subject"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        failed_attempts=row["failed_attempts"],
        grant_id=row["grant_id"],
    )


def grant_of(row: Row) -> Grant:
    """Return the grant whose columns the row has."""
    return Grant(
        grant_id=row["grant_id"],
        subject=row["subject"],
        client_id=row["client_id"],
        resource=row["resource"],
        scopes=tuple(row["scopes"].split()),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        revoked_reason=row["revoked_reason"],
    )


def _refresh_token(row: Row) -> RefreshToken:
    return RefreshToken(
        token_fingerprint=row["token_fingerprint"],
        grant_id=row["grant_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        spent_at=row["spent_at"],
        successor_fingerprint=row["successor_fingerprint"],
        sealed_successor=row["sealed_successor"],
    )


def _live_access_token(row: Row) -> LiveAccessToken:
    return LiveAccessToken(
        subject=row["subject"],
        client_id=row["client_id"],
        client_name=row["client_name"],
        scopes=tuple(row["scopes"].split()),
        resource=row["resource"],
        grant_id=row["grant_id"],
        expires_at=min(row["expires_at"], row["grant_expires_at"]),
        grant_revoked=row["revoked_at"] is not None,
        user_disabled=row["disabled_at"] is not None,
        username=row["username"],
    )
