"""Codes, grants and tokens in SQL (RFC 6749 sections 4.1.3, 5 and 6; RFC 7009)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationCode, Grant, IssuedTokens
from gatepost.stores.contract.grants import (
    MOST_GENERATIONS,
    LiveAccessToken,
    RedeemOutcome,
    RefreshView,
    RotateOutcome,
    Rotation,
)
from gatepost.stores.contract.users import Person
from gatepost.stores.contract.wakeups import grant_ended
from gatepost.stores.sql.database import Operations, Row, Transaction, look_up, read, write
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import ACCESS_TOKENS, CLIENTS, CODES, GRANTS, REFRESH_TOKENS

_CODE: Final = "SELECT * FROM authorization_codes WHERE code_fingerprint = $1 AND expires_at > $2"

_COUNT_FAILURE: Final = """
    UPDATE authorization_codes SET failed_attempts = failed_attempts + 1 WHERE code_fingerprint = $1
"""

USE_CLIENT: Final = "UPDATE clients SET number = NULL WHERE client_id = $1 AND number IS NOT NULL"

# A code whose user has been disabled since the approval cannot be spent.
SPEND_CODE: Final = """
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

_REVOKE: Final = """
    UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE grant_id = $1 AND revoked_at IS NULL
"""

# An approval that has not been redeemed yet must not become a grant after all.
FORGET_UNREDEEMED_CODES: Final = "DELETE FROM authorization_codes WHERE subject = $1 AND grant_id IS NULL"

_IS_REVOKED: Final = "SELECT 1 FROM grants WHERE grant_id = $1 AND revoked_at IS NOT NULL"

_FORGET_CONSENTS: Final = """
    DELETE FROM consents WHERE (subject, client_id, resource) IN (
        SELECT subject, client_id, resource FROM grants WHERE grant_id = $1
    )
"""

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

_TOKEN_PART: Final = REFRESH_TOKENS.joined()
_GRANT_PART: Final = GRANTS.joined()
_CLIENT_PART: Final = CLIENTS.joined()

# Four look-ups by primary key, in one statement.
_REFRESH: Final = f"""
    SELECT
        {_TOKEN_PART.columns}, {_GRANT_PART.columns}, {_CLIENT_PART.columns},
        users.disabled_at, users.issuer, users.external_subject, users.username,
        users.display_name AS person_name, users.profile, users.roles, users.profile_issuer, users.profile_subject
    FROM refresh_tokens
    JOIN grants ON grants.grant_id = refresh_tokens.grant_id
    LEFT JOIN users ON users.subject = grants.subject
    LEFT JOIN clients ON clients.client_id = grants.client_id
    WHERE refresh_tokens.token_fingerprint = $1
"""  # noqa: S608 - our own names

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

# From a spent token to the newest of its family, by primary key.
_CHAIN: Final = """
    WITH RECURSIVE chain (successor_fingerprint, sealed_successor, spent_at, generation) AS (
        SELECT successor_fingerprint, sealed_successor, spent_at, 0
        FROM refresh_tokens WHERE token_fingerprint = $1
        UNION ALL
        SELECT following.successor_fingerprint, following.sealed_successor, following.spent_at, chain.generation + 1
        FROM chain JOIN refresh_tokens AS following ON following.token_fingerprint = chain.successor_fingerprint
        WHERE chain.generation < $2
    )
    SELECT sealed_successor, spent_at FROM chain ORDER BY generation
"""

_END_GRANT_BY: Final = "UPDATE grants SET expires_at = $2 WHERE grant_id = $1 AND expires_at > $2"

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
    for table in ("access_tokens", "refresh_tokens")
)
_DELETE_GRANTS: Final = f"DELETE FROM grants WHERE grant_id IN ({_THESE_GRANTS})"  # noqa: S608 - likewise


class SqlGrantStore(Operations):
    """`GrantStore` over a database."""

    @read
    async def find_code(
        self, transaction: Transaction, code_fingerprint: bytes, *, now: int
    ) -> AuthorizationCode | None:
        return await CODES.one(transaction, _CODE, code_fingerprint, now)

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
        row = await transaction.one(_REFRESH, token_fingerprint)
        if row is None:
            return None
        return RefreshView(
            token=_TOKEN_PART.record(row),
            grant=_GRANT_PART.record(row),
            user_disabled=row["disabled_at"] is not None,
            person=_person(row),
            client=None if row["clients_client_id"] is None else _CLIENT_PART.record(row),
        )

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
        refresh = successor.refresh
        if refresh is None:
            raise ValueError("a rotation's successor needs a refresh token")
        # 1. Unknown, expired, revoked, disabled: nothing to spend and nobody to punish.
        row = await transaction.one(_LIVE_REFRESH_TOKEN, token_fingerprint, now)
        if row is None:
            return Rotation(RotateOutcome.DEAD)
        # 2. Unspent: spend it and keep its successors.
        if row["spent_at"] is None:
            await transaction.run(
                _SPEND_REFRESH_TOKEN, token_fingerprint, now, refresh.token_fingerprint, sealed_successor
            )
            await _insert_tokens(transaction, successor)
            return Rotation(RotateOutcome.ROTATED)
        # 3. Spent a moment ago and nobody has used what came of it: the answer was lost, or two honest uses met.
        successor_is_unused = row["successor_fingerprint"] is not None and row["successor_spent_at"] is None
        if now - row["spent_at"] <= window and successor_is_unused:
            return Rotation(RotateOutcome.REPEATED, row["sealed_successor"])
        # 4. Spent not too long ago: another process of the client went on, and this one gets what that one has.
        if stale.seconds and now - row["spent_at"] <= stale.seconds:
            chain = await _chain(transaction, token_fingerprint)
            if chain:
                await ACCESS_TOKENS.insert(transaction, successor.access)
                if await transaction.run(_END_GRANT_BY, row["grant_id"], now + stale.grant):
                    await transaction.notify(grant_ended(row["grant_id"]))
                return Rotation(RotateOutcome.STALE, chain=chain)
        # 5. Anything else is reuse: one of two holders is a thief, nobody knows which (RFC 9700 section 4.14.2).
        await revoke_grant(transaction, row["grant_id"], reason=Reason.REFRESH_TOKEN_REUSED.value, now=now)
        return Rotation(RotateOutcome.REUSED)

    @look_up
    async def find_access_token(
        self, transaction: Transaction, token_fingerprint: bytes, *, now: int
    ) -> LiveAccessToken | None:
        row = await transaction.one(_LIVE_ACCESS_TOKEN, token_fingerprint, now)
        if row is None:
            return None
        # In their order: by name, a driver goes through the columns for each.
        scopes, dpop_jkt, token_ends, ends, grant_id, subject, client_id, resource, revoked_at, *of_others = row
        client_name, disabled_at, *of_person = of_others
        issuer, external_subject, username, display_name, profile, roles, said_by, said_of = of_person
        person = None
        if issuer is not None:
            known = issuer, external_subject, username, display_name, profile
            person = Person(*known, tuple(roles.split()), said_by, said_of)
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
            person=person,
            dpop_jkt=dpop_jkt,
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


def _person(row: Row) -> Person | None:
    """Return the person of a row that is joined with the table of people."""
    if row["issuer"] is None:
        return None
    known = row["issuer"], row["external_subject"], row["username"], row["person_name"], row["profile"]
    return Person(*known, tuple(row["roles"].split()), row["profile_issuer"], row["profile_subject"])


async def insert_grant(transaction: Transaction, grant: Grant, tokens: IssuedTokens) -> None:
    """Add the rows of a grant and its tokens; from here on its client is a used one."""
    await GRANTS.insert(transaction, grant)
    await _insert_tokens(transaction, tokens)
    await transaction.run(USE_CLIENT, grant.client_id)


async def _chain(transaction: Transaction, token_fingerprint: bytes) -> tuple[bytes, ...]:
    """Return what is sealed from a spent token to the newest of its family; nothing if that cannot be reached."""
    *spent, newest = await transaction.all(_CHAIN, token_fingerprint, MOST_GENERATIONS)
    sealed = tuple(row["sealed_successor"] for row in spent)
    return sealed if newest["spent_at"] is None and None not in sealed else ()


async def _insert_tokens(transaction: Transaction, tokens: IssuedTokens) -> None:
    await ACCESS_TOKENS.insert(transaction, tokens.access)
    if tokens.refresh is not None:
        await REFRESH_TOKENS.insert(transaction, tokens.refresh)


async def revoke_grant(transaction: Transaction, grant_id: str, *, reason: str, now: int) -> bool:
    """Mark the grant; its tokens are checked through it, so one row is enough. False if it is marked or unknown."""
    if not await transaction.run(_REVOKE, grant_id, now, reason):
        return False
    # Who takes access away is asked before it is given again.
    await transaction.run(_FORGET_CONSENTS, grant_id)
    await transaction.notify(grant_ended(grant_id))
    return True
