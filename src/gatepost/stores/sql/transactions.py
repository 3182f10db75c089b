"""Authorization requests between /authorize and the code, in SQL (RFC 6749 section 4.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gatepost.oauth.consent import Consent
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client, ClientOrigin, TransactionState
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.sql.client_rows import select_client
from gatepost.stores.sql.consents import insert_consent
from gatepost.stores.sql.database import Database, Row, Transaction

_INSERT_TRANSACTION: Final = """
    INSERT INTO authorization_transactions (
        transaction_id, browser_id, client_id, redirect_uri, redirect_uri_was_sent, scopes, resource, code_challenge,
        client_state, created_at, expires_at, state, started_by_user
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

_INSERT_CODE: Final = """
    INSERT INTO authorization_codes (
        code_fingerprint, transaction_id, client_id, redirect_uri, redirect_uri_was_sent, scopes, resource,
        code_challenge, subject, created_at, expires_at, failed_attempts, grant_id
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

_SELECT_DISABLED_USER: Final = "SELECT 1 FROM users WHERE subject = $1 AND disabled_at IS NOT NULL"


class SqlTransactionStore:
    """`TransactionStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_transaction(self, transaction: AuthorizationTransaction) -> None:
        """See `TransactionStore.begin_transaction`."""
        request = transaction

        async def operation(transaction: Transaction) -> None:
            await _insert_transaction(transaction, request)

        await self._database.write(operation)

    async def find_transaction(self, transaction_id: str, *, now: int) -> AuthorizationTransaction | None:
        """See `TransactionStore.find_transaction`."""

        async def operation(transaction: Transaction) -> AuthorizationTransaction | None:
            row = await transaction.one(
                "SELECT * FROM authorization_transactions WHERE transaction_id = $1 AND expires_at > $2",
                transaction_id,
                now,
            )
            return None if row is None else _authorization_transaction(row)

        return await self._database.read(operation)

    async def approve_transaction(
        self, code: AuthorizationCode, *, now: int, consent: Consent | None = None
    ) -> ApproveOutcome:
        """See `TransactionStore.approve_transaction`."""

        async def operation(transaction: Transaction) -> ApproveOutcome:
            state = await _select_state(transaction, code.transaction_id, now=now)
            if state is None:
                return ApproveOutcome.GONE
            redeemed = await transaction.one(
                "SELECT 1 FROM authorization_codes WHERE transaction_id = $1 AND grant_id IS NOT NULL",
                code.transaction_id,
            )
            if state is TransactionState.DENIED or redeemed is not None:
                return ApproveOutcome.ALREADY_FINISHED
            await transaction.run("DELETE FROM authorization_codes WHERE transaction_id = $1", code.transaction_id)
            await _insert_code(transaction, code)
            await _set_state(transaction, code.transaction_id, TransactionState.APPROVED)
            if consent is not None:
                await insert_consent(transaction, consent)
            return ApproveOutcome.APPROVED

        return await self._database.write(operation)

    async def approve_at_once(
        self, transaction: AuthorizationTransaction, code: AuthorizationCode, client: Client
    ) -> bool:
        """See `TransactionStore.approve_at_once`."""
        request = replace(transaction, state=TransactionState.APPROVED)
        # The store holds a client that is known by a document only to say that it is disabled.
        expected = None if client.origin is ClientOrigin.DOCUMENT else client

        async def operation(transaction: Transaction) -> bool:
            is_disabled = await transaction.one(_SELECT_DISABLED_USER, code.subject) is not None
            if is_disabled or await select_client(transaction, client.client_id) != expected:
                return False
            await _insert_transaction(transaction, request)
            await _insert_code(transaction, code)
            return True

        return await self._database.write(operation)

    async def deny_transaction(self, transaction_id: str, *, now: int) -> bool:
        """See `TransactionStore.deny_transaction`."""

        async def operation(transaction: Transaction) -> bool:
            state = await _select_state(transaction, transaction_id, now=now)
            if state is None or state is TransactionState.APPROVED:
                return False
            await _set_state(transaction, transaction_id, TransactionState.DENIED)
            return True

        return await self._database.write(operation)


async def _insert_transaction(transaction: Transaction, request: AuthorizationTransaction) -> None:
    await transaction.run(
        _INSERT_TRANSACTION,
        request.transaction_id,
        request.browser_id,
        request.client_id,
        request.redirect_uri,
        int(request.redirect_uri_was_sent),
        " ".join(request.scopes),
        request.resource,
        request.code_challenge,
        request.client_state,
        request.created_at,
        request.expires_at,
        request.state.value,
        int(request.started_by_user),
    )


async def _select_state(transaction: Transaction, transaction_id: str, *, now: int) -> TransactionState | None:
    row = await transaction.one(
        "SELECT state FROM authorization_transactions WHERE transaction_id = $1 AND expires_at > $2",
        transaction_id,
        now,
    )
    return None if row is None else TransactionState(row["state"])


async def _set_state(transaction: Transaction, transaction_id: str, state: TransactionState) -> None:
    await transaction.run(
        "UPDATE authorization_transactions SET state = $2 WHERE transaction_id = $1", transaction_id, state.value
    )


async def _insert_code(transaction: Transaction, code: AuthorizationCode) -> None:
    await transaction.run(
        _INSERT_CODE,
        code.code_fingerprint,
        code.transaction_id,
        code.client_id,
        code.redirect_uri,
        int(code.redirect_uri_was_sent),
        " ".join(code.scopes),
        code.resource,
        code.code_challenge,
        code.subject,
        code.created_at,
        code.expires_at,
        code.failed_attempts,
        code.grant_id,
    )


def _authorization_transaction(row: Row) -> AuthorizationTransaction:
    return AuthorizationTransaction(
        transaction_id=row["transaction_id"],
        browser_id=row["browser_id"],
        client_id=row["client_id"],
        redirect_uri=row["redirect_uri"],
        redirect_uri_was_sent=bool(row["redirect_uri_was_sent"]),
        scopes=tuple(row["scopes"].split()),
        resource=row["resource"],
        code_challenge=row["code_challenge"],
        client_state=row["client_state"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        state=TransactionState(row["state"]),
        started_by_user=bool(row["started_by_user"]),
    )
