"""Refresh tokens in SQL: what they are judged by, and their rotation (RFC 6749 section 6, RFC 9700 section 4.14.2)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import IssuedTokens
from gatepost.stores.contract.grants import MOST_GENERATIONS, RefreshView, RotateOutcome, Rotation, Successor
from gatepost.stores.contract.wakeups import grant_ended
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.grant_rows import insert_tokens, person, revoke_grant
from gatepost.stores.sql.tables import ACCESS_TOKENS, CLIENTS, GRANTS, REFRESH_TOKENS

_TOKEN_PART: Final = REFRESH_TOKENS.joined()
_GRANT_PART: Final = GRANTS.joined(at=_TOKEN_PART.part.stop)
# Many tokens have one client. Where its row says anything else, it is another record.
_CLIENT_PART: Final = CLIENTS.joined(at=_GRANT_PART.part.stop, is_kept=True)
_USER_PART: Final = slice(_CLIENT_PART.part.stop, None)

# Four look-ups by primary key, in one statement.
_REFRESH: Final = f"""
    SELECT
        {_TOKEN_PART.columns}, {_GRANT_PART.columns}, {_CLIENT_PART.columns},
        users.disabled_at, users.issuer, users.external_subject, users.username, users.display_name, users.profile,
        users.roles, users.profile_issuer, users.profile_subject
    FROM refresh_tokens
    JOIN grants ON grants.grant_id = refresh_tokens.grant_id
    LEFT JOIN users ON users.subject = grants.subject
    LEFT JOIN clients ON clients.client_id = grants.client_id
    WHERE refresh_tokens.token_fingerprint = $1
"""  # noqa: S608 - our own names

_SPEND_REFRESH_TOKEN: Final = """
    UPDATE refresh_tokens SET spent_at = $2, successor_fingerprint = $3, sealed_successor = $4
    WHERE token_fingerprint = $1
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

# From a spent token to the newest of its family, by primary key.
_CHAIN: Final = """
    WITH RECURSIVE chain (successor_fingerprint, sealed_successor, spent_at, dpop_jkt, generation) AS (
        SELECT successor_fingerprint, sealed_successor, spent_at, dpop_jkt, 0
        FROM refresh_tokens WHERE token_fingerprint = $1
        UNION ALL
        SELECT
            following.successor_fingerprint, following.sealed_successor, following.spent_at, following.dpop_jkt,
            chain.generation + 1
        FROM chain JOIN refresh_tokens AS following ON following.token_fingerprint = chain.successor_fingerprint
        WHERE chain.generation < $2
    )
    SELECT sealed_successor, spent_at, dpop_jkt FROM chain ORDER BY generation
"""

_END_GRANT_BY: Final = "UPDATE grants SET expires_at = $2 WHERE grant_id = $1 AND expires_at > $2"

_ROTATED: Final = Rotation(RotateOutcome.ROTATED)


async def find_refresh(transaction: Transaction, token_fingerprint: bytes) -> RefreshView | None:
    """Return all that a refresh is judged by; None when the token is unknown."""
    row = await transaction.one(_REFRESH, token_fingerprint)
    if row is None:
        return None
    disabled_at, *known = row[_USER_PART]
    return RefreshView(
        token=_TOKEN_PART.record(row),
        grant=_GRANT_PART.record(row),
        user_disabled=disabled_at is not None,
        person=person(known),
        client=None if row["clients_client_id"] is None else _CLIENT_PART.record(row),
    )


def is_live(found: RefreshView, *, now: int) -> bool:
    """Say whether a token may still be judged, as `_LIVE_REFRESH_TOKEN` does."""
    grant = found.grant
    is_over = found.token.expires_at <= now or grant.expires_at <= now or grant.revoked_at is not None
    return not is_over and not found.user_disabled


async def spend(transaction: Transaction, token_fingerprint: bytes, successor: Successor, *, now: int) -> Rotation:
    """Spend a token that is live and unspent, and keep its successors."""
    refresh = successor.tokens.refresh
    if refresh is None:
        raise ValueError("a rotation's successor needs a refresh token")
    await transaction.run(_SPEND_REFRESH_TOKEN, token_fingerprint, now, refresh.token_fingerprint, successor.sealed)
    await insert_tokens(transaction, successor.tokens)
    return _ROTATED


async def rotate(
    transaction: Transaction, token_fingerprint: bytes, successor: Successor, *, now: int, window: int
) -> Rotation:
    """Spend a token and keep its successors, or say what it is instead."""
    # 1. Unknown, expired, revoked, disabled: nothing to spend and nobody to punish.
    row = await transaction.one(_LIVE_REFRESH_TOKEN, token_fingerprint, now)
    if row is None:
        return Rotation(RotateOutcome.DEAD)
    # 2. Unspent: spend it and keep its successors.
    if row["spent_at"] is None:
        return await spend(transaction, token_fingerprint, successor, now=now)
    # 3. Spent a moment ago and nobody has used what came of it: the answer was lost, or two honest uses met.
    successor_is_unused = row["successor_fingerprint"] is not None and row["successor_spent_at"] is None
    if now - row["spent_at"] <= window and successor_is_unused:
        return Rotation(RotateOutcome.REPEATED, row["sealed_successor"])
    # 4. Spent not too long ago: another process of the client went on, and this one gets what that one has.
    if successor.stale.seconds and now - row["spent_at"] <= successor.stale.seconds:
        chain = await _chain(transaction, token_fingerprint, successor.tokens)
        if chain:
            await ACCESS_TOKENS.insert(transaction, successor.tokens.access)
            if await transaction.run(_END_GRANT_BY, row["grant_id"], now + successor.stale.grant):
                await transaction.notify(grant_ended(row["grant_id"]))
            return Rotation(RotateOutcome.STALE, chain=chain)
    # 5. Anything else is reuse: one of two holders is a thief, nobody knows which (RFC 9700 section 4.14.2).
    await revoke_grant(transaction, row["grant_id"], reason=Reason.REFRESH_TOKEN_REUSED.value, now=now)
    return Rotation(RotateOutcome.REUSED)


async def _chain(transaction: Transaction, token_fingerprint: bytes, asked: IssuedTokens) -> tuple[bytes, ...]:
    """Return what is sealed from a spent token to the newest of its family; nothing if that cannot be reached.

    Nor if the newest is bound to another key than `asked`: a family that has a key has no other way to tokens.
    """
    *spent, newest = await transaction.all(_CHAIN, token_fingerprint, MOST_GENERATIONS)
    proven = None if asked.refresh is None else asked.refresh.dpop_jkt
    if newest["spent_at"] is not None or newest["dpop_jkt"] not in (None, proven):
        return ()
    sealed = tuple(row["sealed_successor"] for row in spent)
    return sealed if None not in sealed else ()
