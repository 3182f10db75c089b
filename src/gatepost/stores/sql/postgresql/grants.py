"""`GrantStore` where PostgreSQL can do in one statement what happens most often.

A refresh spends its token and adds two by one statement that is a transaction by itself. It runs READ COMMITTED, which
SERIALIZABLE does not watch over, so it has to be right by its own means: it locks the token's row and the grant's, and
decides on them as they are then. Whatever ends a token writes one of the two: revocation, expiry, and a person or
client that is disabled, removed or changed write the grant; another rotation and the purge write or delete the token.
So each of those comes wholly before it or wholly after. It never waits for a lock. Where somebody holds one, or the
token is not simply to be rotated, it changes nothing, and the operation in a serializable transaction says what the
token is instead. docs/decisions/0075-round-trips.md goes through them one by one.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.stores.contract.busy import wait_out
from gatepost.stores.contract.grants import (
    JudgeRefresh,
    RedeemOutcome,
    RefreshView,
    RotateOutcome,
    Rotation,
)
from gatepost.stores.sql.database import Transaction, Value, write
from gatepost.stores.sql.grant_rows import USE_CLIENT
from gatepost.stores.sql.grants import SPEND_CODE, SqlGrantStore
from gatepost.stores.sql.postgresql.database import PostgresqlDatabase
from gatepost.stores.sql.postgresql.durability import IS_KEPT
from gatepost.stores.sql.tables import ACCESS_TOKENS, GRANTS, REFRESH_TOKENS

# What a disabled user had is revoked in the same transaction, so the grant's row says it too, and is the one locked.
_CHOOSES: Final = 5 + ACCESS_TOKENS.width + REFRESH_TOKENS.width
_LIVE: Final = f"""
    SELECT refresh_tokens.token_fingerprint
    FROM refresh_tokens JOIN grants ON grants.grant_id = refresh_tokens.grant_id
    WHERE refresh_tokens.token_fingerprint = $1 AND refresh_tokens.expires_at > $2
      AND refresh_tokens.spent_at IS NULL AND grants.expires_at > $2 AND grants.revoked_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM users WHERE users.subject = grants.subject AND users.disabled_at IS NOT NULL)
      AND (${_CHOOSES}::bigint = 1 OR {IS_KEPT})
    FOR NO KEY UPDATE OF refresh_tokens SKIP LOCKED
    FOR SHARE OF grants SKIP LOCKED
"""  # noqa: S608 - our own words

ROTATE: Final = f"""
    WITH live AS MATERIALIZED ({_LIVE}), spent AS (
        UPDATE refresh_tokens SET spent_at = $2, successor_fingerprint = $3, sealed_successor = $4
        FROM live
        WHERE refresh_tokens.token_fingerprint = live.token_fingerprint AND refresh_tokens.spent_at IS NULL
        RETURNING 1
    ), access AS ({ACCESS_TOKENS.insertion_from("spent", first=5)})
    {REFRESH_TOKENS.insertion_from("spent", first=5 + ACCESS_TOKENS.width)}
"""  # noqa: S608 - our own words

_FIRST_OF_GRANT: Final = 4
_FIRST_OF_ACCESS: Final = _FIRST_OF_GRANT + GRANTS.width
_FIRST_OF_REFRESH: Final = _FIRST_OF_ACCESS + ACCESS_TOKENS.width
_USE: Final = USE_CLIENT.replace("$1", f"${_FIRST_OF_GRANT + 2}")  # where a grant has its client_id
_REDEEM: Final = f"""
    WITH spent AS ({SPEND_CODE} RETURNING 1),
    access AS ({ACCESS_TOKENS.insertion_from("spent", first=_FIRST_OF_ACCESS)}),
    used AS ({_USE} AND EXISTS (SELECT 1 FROM spent))
    {GRANTS.insertion_from("spent", first=_FIRST_OF_GRANT)}
"""  # noqa: S608 - likewise
_REDEEM_WITH_REFRESH: Final = _REDEEM.replace(
    "used AS",
    f"refresh AS ({REFRESH_TOKENS.insertion_from('spent', first=_FIRST_OF_REFRESH)}),\n    used AS",
)


class PostgresqlGrantStore(SqlGrantStore):
    """`GrantStore` over a database of PostgreSQL.

    What is at once on SQLite is a look-up and then a write here, so that nothing is locked while somebody judges.
    """

    _database: PostgresqlDatabase

    def __init__(self, database: PostgresqlDatabase) -> None:
        super().__init__(database)

    @write
    async def redeem_code(
        self, transaction: Transaction, code_fingerprint: bytes, grant: Grant, tokens: IssuedTokens, *, now: int
    ) -> RedeemOutcome:
        values: list[Value] = [code_fingerprint, grant.grant_id, now, *GRANTS.values(grant)]
        values += ACCESS_TOKENS.values(tokens.access)
        statement = _REDEEM
        if tokens.refresh is not None:
            values += REFRESH_TOKENS.values(tokens.refresh)
            statement = _REDEEM_WITH_REFRESH
        # Serializable, since it decides on the user's row, which it does not write.
        return RedeemOutcome.REDEEMED if await transaction.run(statement, *values) else RedeemOutcome.LOST_RACE

    async def refresh_at_once(
        self, token_fingerprint: bytes, judge: JudgeRefresh, *, now: int, window: int
    ) -> tuple[RefreshView | None, Rotation | None]:
        """Look the token up, and rotate it."""
        found = await self.find_refresh(token_fingerprint)
        successor = judge(found)
        if successor is None:
            return found, None
        rows, sealed, stale = successor.tokens, successor.sealed, successor.stale
        return found, await self.rotate_refresh_token(
            token_fingerprint, rows, sealed, now=now, window=window, stale=stale
        )

    async def rotate_refresh_token(
        self,
        token_fingerprint: bytes,
        successor: IssuedTokens,
        sealed_successor: bytes,
        *,
        now: int,
        window: int,
        stale: StaleTokens = ALWAYS_THEFT,
    ) -> Rotation:
        """Rotate by one statement, or by several where it is more than a rotation."""
        if (refresh := successor.refresh) is not None:
            values: list[Value] = [token_fingerprint, now, refresh.token_fingerprint, sealed_successor]
            values += ACCESS_TOKENS.values(successor.access) + REFRESH_TOKENS.values(refresh)
            values.append(int(self._database.chooses_commit))

            async def rotate(transaction: Transaction) -> int:
                return await transaction.run(ROTATE, *values)

            database = self._database
            rotated = await wait_out(partial(database.write_alone, rotate), busy_timeout=database.busy_timeout)
            if rotated:
                return Rotation(RotateOutcome.ROTATED)
        return await super().rotate_refresh_token(
            token_fingerprint, successor, sealed_successor, now=now, window=window, stale=stale
        )
