"""Authorization requests between /authorize and the code, in SQL (RFC 6749 section 4.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gatepost.oauth.consent import Consent
from gatepost.oauth.limits import MOST_BEGUN
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client, ClientOrigin, TransactionState
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.sql.consents import insert_consent
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.tables import CLIENTS, CODES, TRANSACTIONS

_FIND: Final = "SELECT * FROM authorization_transactions WHERE transaction_id = $1 AND expires_at > $2"
_STATE: Final = "SELECT state FROM authorization_transactions WHERE transaction_id = $1 AND expires_at > $2"
_APPROVE: Final = "UPDATE authorization_transactions SET state = 'approved', number = NULL WHERE transaction_id = $1"
_DENY: Final = "UPDATE authorization_transactions SET state = 'denied' WHERE transaction_id = $1"
_CLIENT: Final = "SELECT * FROM clients WHERE client_id = $1"
_DISABLED_USER: Final = "SELECT 1 FROM users WHERE subject = $1 AND disabled_at IS NOT NULL"
_REDEEMED: Final = "SELECT 1 FROM authorization_codes WHERE transaction_id = $1 AND grant_id IS NOT NULL"

# The code goes with its request (ON DELETE CASCADE).
_DELETE: Final = """
    DELETE FROM authorization_transactions WHERE transaction_id IN (
        SELECT transaction_id FROM authorization_transactions
        WHERE expires_at <= $1 AND NOT EXISTS (
            SELECT 1 FROM authorization_codes
            WHERE authorization_codes.transaction_id = authorization_transactions.transaction_id
              AND authorization_codes.expires_at > $1
        )
        ORDER BY expires_at LIMIT $2
    )
"""


class SqlTransactionStore(Operations):
    """`TransactionStore` over a database."""

    @write
    async def begin_transaction(
        self, transaction: Transaction, request: AuthorizationTransaction, *, most: int = MOST_BEGUN
    ) -> None:
        await TRANSACTIONS.insert_among_newest(transaction, request, most=most)

    @read
    async def find_transaction(
        self, transaction: Transaction, transaction_id: str, *, now: int
    ) -> AuthorizationTransaction | None:
        request = await TRANSACTIONS.one(transaction, _FIND, transaction_id, now)
        if request is None or request.state is not TransactionState.APPROVED:
            return request
        is_redeemed = await transaction.one(_REDEEMED, transaction_id) is not None
        return replace(request, state=TransactionState.REDEEMED) if is_redeemed else request

    @write
    async def approve_transaction(
        self, transaction: Transaction, code: AuthorizationCode, *, now: int, consent: Consent | None = None
    ) -> ApproveOutcome:
        request = await transaction.one(_STATE, code.transaction_id, now)
        if request is None:
            return ApproveOutcome.GONE
        is_redeemed = await transaction.one(_REDEEMED, code.transaction_id) is not None
        if is_redeemed or request["state"] == TransactionState.DENIED:
            return ApproveOutcome.ALREADY_FINISHED
        if await transaction.one(_DISABLED_USER, code.subject) is not None:
            return ApproveOutcome.USER_DISABLED
        await transaction.run("DELETE FROM authorization_codes WHERE transaction_id = $1", code.transaction_id)
        await CODES.insert(transaction, code)
        await transaction.run(_APPROVE, code.transaction_id)
        if consent is not None:
            await insert_consent(transaction, consent)
        return ApproveOutcome.APPROVED

    @write
    async def approve_at_once(
        self,
        transaction: Transaction,
        request: AuthorizationTransaction,
        code: AuthorizationCode,
        client: Client,
    ) -> bool:
        # The store holds a client that is known by a document only to say that it is disabled.
        expected = None if client.origin is ClientOrigin.DOCUMENT else client
        if await CLIENTS.one(transaction, _CLIENT, client.client_id) != expected:
            return False
        if await transaction.one(_DISABLED_USER, code.subject) is not None:
            return False
        await TRANSACTIONS.insert(transaction, replace(request, state=TransactionState.APPROVED))
        await CODES.insert(transaction, code)
        return True

    @write
    async def deny_transaction(self, transaction: Transaction, transaction_id: str, *, now: int) -> bool:
        request = await transaction.one(_STATE, transaction_id, now)
        if request is None or request["state"] == TransactionState.APPROVED:
            return False
        await transaction.run(_DENY, transaction_id)
        return True

    @write
    async def delete_transactions(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE, before, limit)
