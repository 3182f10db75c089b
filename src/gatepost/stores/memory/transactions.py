"""Authorization requests between /authorize and the code, in memory (RFC 6749 section 4.1)."""

from __future__ import annotations

from dataclasses import replace

from gatepost.oauth.consent import Consent
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, TransactionState
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.memory.consents import keep_consent
from gatepost.stores.memory.records import Records


class MemoryTransactionStore:
    """`TransactionStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def begin_transaction(self, transaction: AuthorizationTransaction) -> None:
        """See `TransactionStore.begin_transaction`."""
        self._records.transactions[transaction.transaction_id] = transaction

    async def find_transaction(self, transaction_id: str, *, now: int) -> AuthorizationTransaction | None:
        """See `TransactionStore.find_transaction`."""
        return self._live(transaction_id, now=now)

    async def approve_transaction(
        self, code: AuthorizationCode, *, now: int, consent: Consent | None = None
    ) -> ApproveOutcome:
        """See `TransactionStore.approve_transaction`."""
        transaction = self._live(code.transaction_id, now=now)
        if transaction is None:
            return ApproveOutcome.GONE
        codes = self._records.codes
        earlier = [other for other in codes.values() if other.transaction_id == code.transaction_id]
        if transaction.state is TransactionState.DENIED or any(other.grant_id is not None for other in earlier):
            return ApproveOutcome.ALREADY_FINISHED
        for other in earlier:
            del codes[other.code_fingerprint]
        codes[code.code_fingerprint] = code
        self._set_state(transaction, TransactionState.APPROVED)
        if consent is not None:
            keep_consent(self._records, consent)
        return ApproveOutcome.APPROVED

    async def deny_transaction(self, transaction_id: str, *, now: int) -> bool:
        """See `TransactionStore.deny_transaction`."""
        transaction = self._live(transaction_id, now=now)
        if transaction is None or transaction.state is TransactionState.APPROVED:
            return False
        self._set_state(transaction, TransactionState.DENIED)
        return True

    def _live(self, transaction_id: str, *, now: int) -> AuthorizationTransaction | None:
        transaction = self._records.transactions.get(transaction_id)
        return None if transaction is None or transaction.expires_at <= now else transaction

    def _set_state(self, transaction: AuthorizationTransaction, state: TransactionState) -> None:
        self._records.transactions[transaction.transaction_id] = replace(transaction, state=state)
