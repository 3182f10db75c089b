"""Codes, grants and tokens in SQL (RFC 6749 sections 4.1.3, 5 and 6; RFC 7009)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.oauth.records import AuthorizationCode, Grant, IssuedTokens
from gatepost.stores.contract.grants import (
    CodeView,
    JudgeRefresh,
    LiveAccessToken,
    RedeemOutcome,
    RefreshView,
    Rotation,
    Successor,
)
from gatepost.stores.sql.database import Operations, Transaction, look_up, read, write
from gatepost.stores.sql.grant_rows import insert_grant, person, revoke_grant
from gatepost.stores.sql.rotation import find_refresh, is_live, rotate, spend
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import CLIENTS, CODES

_CODE: Final = "SELECT * FROM authorization_codes WHERE code_fingerprint = $1 AND expires_at > $2"

_COUNT_FAILURE: Final = """
    UPDATE authorization_codes SET failed_attempts = failed_attempts + 1 WHERE code_fingerprint = $1
"""

# A code whose user has been disabled since the approval cannot be spent.
SPEND_CODE: Final = """
    UPDATE authorization_codes SET grant_id = $2
    WHERE code_fingerprint = $1 AND grant_id IS NULL AND expires_at > $3
      AND NOT EXISTS (
          SELECT 1 FROM users WHERE users.subject = authorization_codes.subject AND users.disabled_at IS NOT NULL
      )
"""

# An approval that has not been redeemed yet must not become a grant after all.
FORGET_UNREDEEMED_CODES: Final = "DELETE FROM authorization_codes WHERE subject = $1 AND grant_id IS NULL"

_IS_REVOKED: Final = "SELECT 1 FROM grants WHERE grant_id = $1 AND revoked_at IS NOT NULL"

# One statement, one snapshot, four look-ups by primary or unique key: as fast with a million rows as with a thousand.
_LIVE_ACCESS_TOKEN: Final = """
    SELECT
        access_tokens.scopes, access_tokens.dpop_jkt, access_tokens.expires_at, grants.expires_at, grants.grant_id,
        grants.subject, grants.client_id, grants.resource, grants.revoked_at, clients.client_name, users.disabled_at,
        users.issuer, users.external_subject, users.username, users.display_name, users.profile, users.roles,
        users.profile_issuer, users.profile_subject
    FROM access_tokens
    JOIN grants ON grants.grant_id = access_tokens.grant_id
    LEFT JOIN clients ON clients.client_id = grants.client_id
    LEFT JOIN users ON users.subject = grants.subject
    WHERE access_tokens.token_fingerprint = $1 AND access_tokens.expires_at > $2 AND grants.expires_at > $2
"""

# Asked after the other has found nothing, so a token that nothing was exchanged for costs what it did.
_LIVE_EXCHANGED_TOKEN: Final = """
    SELECT
        exchanged_tokens.scopes, exchanged_tokens.dpop_jkt, exchanged_tokens.expires_at, grants.expires_at,
        grants.grant_id, grants.subject, exchanged_tokens.client_id, exchanged_tokens.resource,
        CASE WHEN clients.client_id IS NULL OR clients.disabled_at IS NOT NULL THEN 0 ELSE grants.revoked_at END,
        clients.client_name, users.disabled_at,
        users.issuer, users.external_subject, users.username, users.display_name, users.profile, users.roles,
        users.profile_issuer, users.profile_subject, exchanged_tokens.actors
    FROM exchanged_tokens
    JOIN grants ON grants.grant_id = exchanged_tokens.grant_id
    LEFT JOIN clients ON clients.client_id = exchanged_tokens.client_id
    LEFT JOIN users ON users.subject = grants.subject
    WHERE exchanged_tokens.token_fingerprint = $1 AND exchanged_tokens.expires_at > $2 AND grants.expires_at > $2
"""

_CODE_PART: Final = CODES.joined()
_CLIENT_PART: Final = CLIENTS.joined(at=_CODE_PART.part.stop, is_kept=True)
_CODE_AND_CLIENT: Final = f"""
    SELECT {_CODE_PART.columns}, {_CLIENT_PART.columns}
    FROM authorization_codes LEFT JOIN clients ON clients.client_id = authorization_codes.client_id
    WHERE authorization_codes.code_fingerprint = $1 AND authorization_codes.expires_at > $2
"""  # noqa: S608 - our own names

_DELETE_ENDED_ACCESS_TOKENS: Final = delete_ended("access_tokens", "token_fingerprint")
_DELETE_ENDED_REFRESH_TOKENS: Final = delete_ended("refresh_tokens", "token_fingerprint")
# Each by its index, from the oldest on: a table of which much was deleted is not gone through again for each batch.
_ENDED_GRANTS: Final = (
    "SELECT grant_id FROM grants WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2",
    "SELECT grant_id FROM grants WHERE revoked_at <= $1 ORDER BY revoked_at LIMIT $2",
)
_GRANTS_AT_ONCE: Final = 100
"""One statement for so many, the last name repeated where there are fewer: there is one to prepare and keep."""
_THESE_GRANTS: Final = ", ".join(f"${number}" for number in range(1, _GRANTS_AT_ONCE + 1))
_DELETE_TOKENS_OF_GRANTS: Final = tuple(
    f"""
    DELETE FROM {table} WHERE token_fingerprint IN (
        SELECT token_fingerprint FROM {table} WHERE grant_id IN ({_THESE_GRANTS}) LIMIT ${_GRANTS_AT_ONCE + 1}
    )
    """  # noqa: S608 - our own names
    for table in ("access_tokens", "refresh_tokens", "exchanged_tokens")
)
_DELETE_GRANTS: Final = f"DELETE FROM grants WHERE grant_id IN ({_THESE_GRANTS})"  # noqa: S608 - likewise


class SqlGrantStore(Operations):
    """`GrantStore` over a database."""

    @read
    async def find_code(
        self, transaction: Transaction, code_fingerprint: bytes, *, now: int
    ) -> AuthorizationCode | None:
        return await CODES.one(transaction, _CODE, code_fingerprint, now)

    @look_up
    async def find_code_and_client(
        self, transaction: Transaction, code_fingerprint: bytes, *, now: int
    ) -> CodeView | None:
        row = await transaction.one(_CODE_AND_CLIENT, code_fingerprint, now)
        if row is None:
            return None
        is_registered = row["clients_client_id"] is not None
        return CodeView(_CODE_PART.record(row), _CLIENT_PART.record(row) if is_registered else None)

    @write
    async def count_failed_redemption(self, transaction: Transaction, code_fingerprint: bytes) -> None:
        await transaction.run(_COUNT_FAILURE, code_fingerprint)

    @write
    async def redeem_code(
        self, transaction: Transaction, code_fingerprint: bytes, grant: Grant, tokens: IssuedTokens, *, now: int
    ) -> RedeemOutcome:
        if not await transaction.run(SPEND_CODE, code_fingerprint, grant.grant_id, now):
            return RedeemOutcome.LOST_RACE
        await insert_grant(transaction, grant, tokens)
        return RedeemOutcome.REDEEMED

    @read
    async def find_refresh(self, transaction: Transaction, token_fingerprint: bytes) -> RefreshView | None:
        return await find_refresh(transaction, token_fingerprint)

    @write
    async def rotate_refresh_token(
        self,
        transaction: Transaction,
        token_fingerprint: bytes,
        successor: IssuedTokens,
        sealed_successor: bytes,
        *,
        now: int,
        window: int,
        stale: StaleTokens = ALWAYS_THEFT,
    ) -> Rotation:
        return await rotate(
            transaction, token_fingerprint, Successor(successor, sealed_successor, stale), now=now, window=window
        )

    @write
    async def refresh_at_once(
        self, transaction: Transaction, token_fingerprint: bytes, judge: JudgeRefresh, *, now: int, window: int
    ) -> tuple[RefreshView | None, Rotation | None]:
        found = await find_refresh(transaction, token_fingerprint)
        successor = judge(found)
        if successor is None:
            return found, None
        if found is not None and is_live(found, now=now) and found.token.spent_at is None:
            return found, await spend(transaction, token_fingerprint, successor, now=now)
        return found, await rotate(transaction, token_fingerprint, successor, now=now, window=window)

    @look_up
    async def find_access_token(
        self, transaction: Transaction, token_fingerprint: bytes, *, now: int
    ) -> LiveAccessToken | None:
        row: Iterable[Any] | None = await transaction.one(_LIVE_ACCESS_TOKEN, token_fingerprint, now)
        actors: tuple[str, ...] = ()
        if row is None:
            row = await transaction.one(_LIVE_EXCHANGED_TOKEN, token_fingerprint, now)
            if row is None:
                return None
            *row, acting = row
            actors = tuple(acting.split())
        # In their order: by name, a driver goes through the columns for each.
        scopes, dpop_jkt, token_ends, ends, grant_id, subject, client_id, resource, revoked_at, *of_others = row
        client_name, disabled_at, *known = of_others
        issuer, _, username, display_name, profile, _, said_by, _ = known
        return LiveAccessToken(
            subject=subject,
            client_id=client_id,
            client_name=client_name,
            scopes=tuple(scopes.split()),
            resource=resource,
            grant_id=grant_id,
            expires_at=token_ends if token_ends < ends else ends,  # noqa: FURB136 - `min` takes thrice as long
            grant_revoked=revoked_at is not None,
            user_disabled=disabled_at is not None,
            display_name=username if display_name is None else display_name,
            user_issuer=issuer if said_by is None else said_by,
            profile=profile,
            person=person(known),
            dpop_jkt=dpop_jkt,
            actors=actors,
        )

    @read
    async def list_revoked(self, transaction: Transaction, grant_ids: Collection[str]) -> set[str]:
        return {each for each in grant_ids if await transaction.one(_IS_REVOKED, each) is not None}

    @write
    async def revoke_grant(self, transaction: Transaction, grant_id: str, *, reason: str, now: int) -> bool:
        if await revoke_grant(transaction, grant_id, reason=reason, now=now):
            return True
        return await transaction.one("SELECT 1 FROM grants WHERE grant_id = $1", grant_id) is not None

    @write
    async def delete_access_tokens(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED_ACCESS_TOKENS, before, limit)

    @write
    async def delete_refresh_tokens(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED_REFRESH_TOKENS, before, limit)

    @write
    async def delete_grants(self, transaction: Transaction, *, before: int, limit: int) -> int:
        ended: list[str] = []
        most = min(limit, _GRANTS_AT_ONCE)
        for query in _ENDED_GRANTS:
            rows = await transaction.all(query, before, most - len(ended))
            ended += [row["grant_id"] for row in rows if row["grant_id"] not in ended]
        if not ended:
            return 0
        deleted = 0
        for statement in _DELETE_TOKENS_OF_GRANTS:
            deleted += await transaction.run(statement, *_filled(ended), limit - deleted)
            if deleted == limit:
                return deleted  # some tokens may be left; the next batch goes on with these grants
        return deleted + await transaction.run(_DELETE_GRANTS, *_filled(ended[: limit - deleted]))


def _filled(grant_ids: list[str]) -> list[str]:
    """Return the parameters of a statement about `_GRANTS_AT_ONCE` grants."""
    return [*grant_ids, *grant_ids[-1:] * (_GRANTS_AT_ONCE - len(grant_ids))]
