"""Grants as people and operators see them, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.stores.contract.approvals import ConnectedApp, GrantListing
from gatepost.stores.contract.wakeups import ACCESS_TAKEN, Wakeup, WakeupKind
from gatepost.stores.sql.consents import FORGET_CONSENTS_OF_SUBJECT
from gatepost.stores.sql.database import Operations, Transaction, Value, read, write
from gatepost.stores.sql.device_authorizations import FORGET_APPROVED_DEVICES
from gatepost.stores.sql.grant_rows import insert_grant, revoke_grant
from gatepost.stores.sql.grants import FORGET_UNREDEEMED_CODES
from gatepost.stores.sql.tables import GRANTS

_ENABLED_USER: Final = "SELECT 1 FROM users WHERE subject = $1 AND disabled_at IS NULL"
_DISABLED_CLIENT: Final = "SELECT 1 FROM clients WHERE client_id = $1 AND disabled_at IS NOT NULL"

_OF_ACCESS_TOKEN: Final = """
    SELECT grants.* FROM access_tokens JOIN grants ON grants.grant_id = access_tokens.grant_id
    WHERE access_tokens.token_fingerprint = $1
"""

_OF_REFRESH_TOKEN: Final = """
    SELECT grants.* FROM refresh_tokens JOIN grants ON grants.grant_id = refresh_tokens.grant_id
    WHERE refresh_tokens.token_fingerprint = $1
"""

_LISTING: Final = """
    SELECT grants.*, clients.client_name, COALESCE(users.display_name, users.username) AS display_name FROM grants
    LEFT JOIN clients ON clients.client_id = grants.client_id
    LEFT JOIN users ON users.subject = grants.subject
"""

# A spent refresh token says when it was spent by its successor.
_APPS: Final = """
    SELECT grants.*, clients.client_name,
        (SELECT max(created_at) FROM access_tokens WHERE access_tokens.grant_id = grants.grant_id) AS access_at,
        (SELECT max(created_at) FROM refresh_tokens WHERE refresh_tokens.grant_id = grants.grant_id) AS refresh_at
    FROM grants LEFT JOIN clients ON clients.client_id = grants.client_id
    WHERE grants.subject = $1 AND grants.revoked_at IS NULL AND grants.expires_at > $2 AND (
        EXISTS (
            SELECT 1 FROM access_tokens WHERE access_tokens.grant_id = grants.grant_id AND access_tokens.expires_at > $2
        ) OR EXISTS (
            SELECT 1 FROM refresh_tokens WHERE refresh_tokens.grant_id = grants.grant_id
            AND refresh_tokens.expires_at > $2 AND refresh_tokens.spent_at IS NULL
        )
    )
    ORDER BY grants.created_at DESC, grants.grant_id LIMIT $3
"""
_LIVE: Final = "SELECT * FROM grants WHERE grant_id = $1 AND revoked_at IS NULL AND expires_at > $2"
_LIVE_OF_SUBJECT: Final = "SELECT * FROM grants WHERE subject = $1 AND revoked_at IS NULL AND expires_at > $2"

_REVOKE_ALL: Final = """
    UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE revoked_at IS NULL AND created_at < $1
"""

_REVOKE_ALL_KEYS: Final = "UPDATE api_keys SET revoked_at = $2 WHERE revoked_at IS NULL AND created_at < $1"

_END_ALL: Final = {
    "browser sessions": "DELETE FROM browser_sessions WHERE created_at < $1",
    "account links": "DELETE FROM account_links WHERE created_at < $1",
    "authorization requests": "DELETE FROM authorization_transactions WHERE created_at < $1",
    "pushed authorization requests": "DELETE FROM pushed_requests WHERE created_at < $1",
    "logins by device": "DELETE FROM device_authorizations WHERE created_at < $1",
    "remembered approvals": "DELETE FROM consents WHERE created_at < $1",
    "MCP sessions": "DELETE FROM mcp_sessions WHERE created_at < $1",
    "tokens for tools": "DELETE FROM upstream_tokens WHERE linked_at < $1",
}
"""By what ends, in words for people. Codes go with their requests."""

_EVER: Final = 2**63 - 1


class SqlApprovalStore(Operations):
    """`ApprovalStore` over a database."""

    @write
    async def give_grant(self, transaction: Transaction, grant: Grant, tokens: IssuedTokens) -> None:
        await insert_grant(transaction, grant, tokens)

    @write
    async def give_user_grant(self, transaction: Transaction, grant: Grant, tokens: IssuedTokens) -> bool:
        if await transaction.one(_ENABLED_USER, grant.subject) is None:
            return False
        if await transaction.one(_DISABLED_CLIENT, grant.client_id) is not None:
            return False
        await insert_grant(transaction, grant, tokens)
        return True

    @read
    async def find_grant_of_token(self, transaction: Transaction, token_fingerprint: bytes) -> Grant | None:
        of_access_token = await GRANTS.one(transaction, _OF_ACCESS_TOKEN, token_fingerprint)
        return of_access_token or await GRANTS.one(transaction, _OF_REFRESH_TOKEN, token_fingerprint)

    @write
    async def revoke_all(
        self, transaction: Transaction, *, issued_before: int | None, reason: str, now: int
    ) -> dict[str, int]:
        return await end_all_access(transaction, issued_before=issued_before, reason=reason, now=now)

    @read
    async def list_apps(self, transaction: Transaction, subject: str, *, now: int, limit: int) -> list[ConnectedApp]:
        return [
            ConnectedApp(GRANTS.record(row), row["client_name"], max(row["access_at"] or 0, row["refresh_at"] or 0))
            for row in await transaction.all(_APPS, subject, now, limit)
        ]

    @write
    async def take_back(
        self, transaction: Transaction, subject: str | None, *, grant_id: str | None, reason: str, now: int
    ) -> list[Grant]:
        if grant_id is None:
            live = await GRANTS.all(transaction, f"{_LIVE_OF_SUBJECT} ORDER BY grant_id", subject, now)
            await transaction.run(FORGET_UNREDEEMED_CODES, subject)
            await transaction.run(FORGET_APPROVED_DEVICES, subject)
            await transaction.run(FORGET_CONSENTS_OF_SUBJECT, subject)
        elif subject is None:
            live = await GRANTS.all(transaction, _LIVE, grant_id, now)
        else:
            live = await GRANTS.all(transaction, f"{_LIVE_OF_SUBJECT} AND grant_id = $3", subject, now, grant_id)
        for grant in live:
            await revoke_grant(transaction, grant.grant_id, reason=reason, now=now)
        return live

    @read
    async def list_grants(
        self,
        transaction: Transaction,
        *,
        live_at: int | None,
        subject: str | None,
        client_id: str | None,
        limit: int,
        before: tuple[int, str] | None = None,
    ) -> list[GrantListing]:
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
        if before is not None:
            parameters += before
            at, grant_id = f"${len(parameters) - 1}", f"${len(parameters)}"
            conditions.append(
                f"grants.created_at <= {at} AND (grants.created_at < {at} OR grants.grant_id > {grant_id})"
            )
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        parameters.append(limit)
        query = f"{_LISTING}{where} ORDER BY grants.created_at DESC, grants.grant_id LIMIT ${len(parameters)}"
        rows = await transaction.all(query, *parameters)
        return [GrantListing(GRANTS.record(row), row["client_name"], row["display_name"]) for row in rows]


async def end_all_access(
    transaction: Transaction, *, issued_before: int | None = None, reason: str, now: int
) -> dict[str, int]:
    """See `ApprovalStore.revoke_all`."""
    before = _EVER if issued_before is None else issued_before
    ended = {"grants": await transaction.run(_REVOKE_ALL, before, now, reason)}
    ended["API keys"] = await transaction.run(_REVOKE_ALL_KEYS, before, now)
    for what, statement in _END_ALL.items():
        ended[what] = await transaction.run(statement, before)
    await transaction.notify(ACCESS_TAKEN)
    await transaction.notify(Wakeup(WakeupKind.SESSION_ENDED))
    return ended
