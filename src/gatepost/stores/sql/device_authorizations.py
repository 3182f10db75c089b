"""Requests of devices in SQL (RFC 8628)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.device_authorization import DeviceAuthorization, DeviceState, Poll, is_too_soon, slower
from gatepost.oauth.limits import MOST_BEGUN
from gatepost.oauth.records import Grant, IssuedTokens, TransactionState
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.sql.database import Operations, Row, Transaction, read, write
from gatepost.stores.sql.grant_rows import insert_grant
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import DEVICE_AUTHORIZATIONS

_FIND: Final = "SELECT * FROM device_authorizations WHERE device_code_fingerprint = $1"
_USED: Final = "SELECT 1 FROM device_authorizations WHERE user_code = $1"
_WAITING: Final = "SELECT * FROM device_authorizations WHERE user_code = $1 AND state = 'pending' AND expires_at > $2"
_NOTE_POLL: Final = """
    UPDATE device_authorizations SET polled_at = $2, poll_interval = $3 WHERE device_code_fingerprint = $1
"""
_QUESTION: Final = """
    SELECT authorization_transactions.state AS asked, device_authorizations.state, device_authorizations.subject,
        device_authorizations.grant_id, device_authorizations.device_code_fingerprint
    FROM authorization_transactions
    JOIN device_authorizations
        ON device_authorizations.device_code_fingerprint = authorization_transactions.device_code_fingerprint
    WHERE authorization_transactions.transaction_id = $1 AND authorization_transactions.expires_at > $2
      AND device_authorizations.expires_at > $2
"""
_DISABLED_USER: Final = "SELECT 1 FROM users WHERE subject = $1 AND disabled_at IS NOT NULL"
_APPROVE: Final = """
    UPDATE device_authorizations SET state = 'approved', subject = $2, scopes = $3, number = NULL
    WHERE device_code_fingerprint = $1
"""
_ANSWER: Final = "UPDATE authorization_transactions SET state = $2, number = NULL WHERE transaction_id = $1"
_DENY: Final = "UPDATE device_authorizations SET state = 'denied' WHERE device_code_fingerprint = $1"
_SPEND: Final = """
    UPDATE device_authorizations SET grant_id = $2
    WHERE device_code_fingerprint = $1 AND state = 'approved' AND grant_id IS NULL AND expires_at > $3
      AND subject = $4 AND client_id = $5 AND resource = $6 AND scopes = $7
      AND NOT EXISTS (
          SELECT 1 FROM users WHERE users.subject = device_authorizations.subject AND users.disabled_at IS NOT NULL
      )
"""
_DELETE_ENDED: Final = delete_ended("device_authorizations", "device_code_fingerprint")

FORGET_APPROVED_DEVICES: Final = "DELETE FROM device_authorizations WHERE subject = $1 AND grant_id IS NULL"
"""An approval that has not been redeemed yet must not become a grant after all."""
DROP_DEVICES_OF_CLIENT: Final = "DELETE FROM device_authorizations WHERE client_id = $1"


class SqlDeviceAuthorizationStore(Operations):
    """`DeviceAuthorizationStore` over a database."""

    @write
    async def begin_device_authorization(
        self, transaction: Transaction, request: DeviceAuthorization, *, most: int = MOST_BEGUN
    ) -> bool:
        if await transaction.one(_USED, request.user_code) is not None:
            return False
        await DEVICE_AUTHORIZATIONS.insert_among_newest(transaction, request, most=most)
        return True

    @read
    async def find_device_authorization(
        self, transaction: Transaction, device_code_fingerprint: bytes
    ) -> DeviceAuthorization | None:
        return await DEVICE_AUTHORIZATIONS.one(transaction, _FIND, device_code_fingerprint)

    @read
    async def find_user_code(self, transaction: Transaction, user_code: str, *, now: int) -> DeviceAuthorization | None:
        return await DEVICE_AUTHORIZATIONS.one(transaction, _WAITING, user_code, now)

    @write
    async def note_poll(self, transaction: Transaction, device_code_fingerprint: bytes, *, now: int) -> Poll:
        request = await DEVICE_AUTHORIZATIONS.one(transaction, _FIND, device_code_fingerprint)
        if request is None or request.state is not DeviceState.PENDING or request.expires_at <= now:
            return Poll.IN_TIME
        too_soon = is_too_soon(request, now=now)
        interval = slower(request.poll_interval) if too_soon else request.poll_interval
        if not too_soon or interval != request.poll_interval:
            await transaction.run(_NOTE_POLL, device_code_fingerprint, now, interval)
        return Poll.TOO_SOON if too_soon else Poll.IN_TIME

    @write
    async def approve_device(
        self, transaction: Transaction, transaction_id: str, *, subject: str, scopes: tuple[str, ...], now: int
    ) -> ApproveOutcome:
        question = await transaction.one(_QUESTION, transaction_id, now)
        if question is None:
            return ApproveOutcome.GONE
        is_pending = question["state"] == DeviceState.PENDING
        is_own = question["state"] == DeviceState.APPROVED and question["subject"] == subject
        is_open = is_pending or (is_own and question["grant_id"] is None)
        if not is_open or question["asked"] == TransactionState.DENIED:
            return ApproveOutcome.ALREADY_FINISHED
        if await transaction.one(_DISABLED_USER, subject) is not None:
            return ApproveOutcome.USER_DISABLED
        await transaction.run(_APPROVE, question["device_code_fingerprint"], subject, " ".join(scopes))
        await transaction.run(_ANSWER, transaction_id, TransactionState.APPROVED.value)
        return ApproveOutcome.APPROVED

    @write
    async def deny_device(self, transaction: Transaction, transaction_id: str, *, now: int) -> bool:
        question: Row | None = await transaction.one(_QUESTION, transaction_id, now)
        if question is None or question["state"] == DeviceState.APPROVED:
            return False
        await transaction.run(_DENY, question["device_code_fingerprint"])
        await transaction.run(_ANSWER, transaction_id, TransactionState.DENIED.value)
        return True

    @write
    async def redeem_device_code(
        self,
        transaction: Transaction,
        device_code_fingerprint: bytes,
        grant: Grant,
        tokens: IssuedTokens,
        *,
        now: int,
    ) -> RedeemOutcome:
        approved = grant.subject, grant.client_id, grant.resource, " ".join(grant.scopes)
        if not await transaction.run(_SPEND, device_code_fingerprint, grant.grant_id, now, *approved):
            return RedeemOutcome.LOST_RACE
        await insert_grant(transaction, grant, tokens)
        return RedeemOutcome.REDEEMED

    @write
    async def delete_device_authorizations(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)
