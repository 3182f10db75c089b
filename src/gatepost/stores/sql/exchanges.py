"""Access tokens that were given for others, in SQL (RFC 8693)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.token_exchange import ExchangedToken
from gatepost.stores.contract.wakeups import grant_ended
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import EXCHANGED_TOKENS

_FIND: Final = "SELECT * FROM exchanged_tokens WHERE token_fingerprint = $1"
_END: Final = "DELETE FROM exchanged_tokens WHERE token_fingerprint = $1"
_DELETE_ENDED: Final = delete_ended("exchanged_tokens", "token_fingerprint")
_ENABLED_CLIENT: Final = "SELECT 1 FROM clients WHERE client_id = $1 AND disabled_at IS NULL"
_LIVE_GRANT: Final = """
    SELECT 1 FROM grants
    WHERE grant_id = $1 AND revoked_at IS NULL AND expires_at > $2
      AND NOT EXISTS (SELECT 1 FROM users WHERE users.subject = grants.subject AND users.disabled_at IS NOT NULL)
"""
_SUBJECT_TOKENS: Final = tuple(
    f"SELECT 1 FROM {table} WHERE token_fingerprint = $1 AND grant_id = $2 AND expires_at > $3"  # noqa: S608 - ours
    for table in ("access_tokens", "exchanged_tokens")
)

DROP_EXCHANGED_TOKENS_OF_CLIENT: Final = "DELETE FROM exchanged_tokens WHERE client_id = $1"


class SqlExchangeStore(Operations):
    """`ExchangeStore` over a database."""

    @write
    async def give_exchanged_token(
        self, transaction: Transaction, token: ExchangedToken, *, subject_fingerprint: bytes, now: int
    ) -> bool:
        if await transaction.one(_ENABLED_CLIENT, token.client_id) is None:
            return False
        if await transaction.one(_LIVE_GRANT, token.grant_id, now) is None:
            return False
        found = [await transaction.one(each, subject_fingerprint, token.grant_id, now) for each in _SUBJECT_TOKENS]
        if not any(found):
            return False
        await EXCHANGED_TOKENS.insert(transaction, token)
        return True

    @read
    async def find_exchanged_token(self, transaction: Transaction, token_fingerprint: bytes) -> ExchangedToken | None:
        return await EXCHANGED_TOKENS.one(transaction, _FIND, token_fingerprint)

    @write
    async def end_exchanged_token(self, transaction: Transaction, token_fingerprint: bytes) -> bool:
        token = await EXCHANGED_TOKENS.one(transaction, _FIND, token_fingerprint)
        if token is None or not await transaction.run(_END, token_fingerprint):
            return False
        # Whoever has verified it remembers it as one of its grant.
        await transaction.notify(grant_ended(token.grant_id))
        return True

    @write
    async def delete_exchanged_tokens(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)
