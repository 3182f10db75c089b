"""Second steps of local accounts, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.stores.contract.browser_sessions import BrowserSession
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.users import LOCAL
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.second_factors import forget_second_factors, has_passkey
from gatepost.stores.sql.tables import BROWSER_SESSIONS, SECOND_STEPS

_MARK: Final = """
    UPDATE users SET second_step = $2
    WHERE subject = $1 AND issuer = $3 AND second_step IS NULL AND disabled_at IS NULL
"""
_OWN_SESSION: Final = "SELECT 1 FROM browser_sessions WHERE session_fingerprint = $1 AND subject = $2"
_END_SESSIONS: Final = "DELETE FROM browser_sessions WHERE subject = $1"
_UNMARK: Final = "UPDATE users SET second_step = NULL WHERE subject = $1"
_FIND: Final = "SELECT * FROM second_steps WHERE subject = $1"
_IS_CURRENT: Final = "SELECT 1 FROM second_steps WHERE subject = $1 AND step_id = $2"
_ACCEPT: Final = """
    UPDATE second_steps SET last_time_step = $3 WHERE subject = $1 AND step_id = $2 AND last_time_step < $3
"""
_RESEAL: Final = "UPDATE second_steps SET sealed_secret = $3 WHERE subject = $1 AND step_id = $2"
_FORGET: Final = "DELETE FROM second_steps WHERE subject = $1"
_ADD_CODE: Final = "INSERT INTO recovery_codes (subject, code_fingerprint) VALUES ($1, $2)"
_USE_CODE: Final = "DELETE FROM recovery_codes WHERE subject = $1 AND code_fingerprint = $2"
_FORGET_CODES: Final = "DELETE FROM recovery_codes WHERE subject = $1"
_COUNT_CODES: Final = "SELECT count(*) AS left_over FROM recovery_codes WHERE subject = $1"


class SqlSecondStepStore(Operations):
    """`SecondStepStore` over a database."""

    @write
    async def set_up(
        self,
        transaction: Transaction,
        step: SecondStep,
        *,
        recovery_codes: Sequence[bytes],
        session: BrowserSession | None = None,
        replaces: bytes | None = None,
        no_passkey_at: str | None = None,
    ) -> bool:
        if no_passkey_at is not None and await has_passkey(transaction, step.subject, no_passkey_at):
            return False
        if replaces is not None and await transaction.one(_OWN_SESSION, replaces, step.subject) is None:
            return False
        if not await transaction.run(_MARK, step.subject, step.step_id, LOCAL):
            return False
        await transaction.run(_END_SESSIONS, step.subject)
        if session is not None:
            await BROWSER_SESSIONS.insert(transaction, session)
        await SECOND_STEPS.insert(transaction, step)
        await _keep_codes(transaction, step.subject, recovery_codes)
        return True

    @read
    async def find_second_step(self, transaction: Transaction, subject: str) -> SecondStep | None:
        return await SECOND_STEPS.one(transaction, _FIND, subject)

    @write
    async def accept_time_step(self, transaction: Transaction, subject: str, step_id: str, time_step: int) -> bool:
        return await transaction.run(_ACCEPT, subject, step_id, time_step) > 0

    @write
    async def use_recovery_code(
        self, transaction: Transaction, subject: str, step_id: str, code_fingerprint: bytes
    ) -> bool:
        if await transaction.one(_IS_CURRENT, subject, step_id) is None:
            return False
        return await transaction.run(_USE_CODE, subject, code_fingerprint) > 0

    @write
    async def replace_recovery_codes(
        self, transaction: Transaction, subject: str, step_id: str, recovery_codes: Sequence[bytes]
    ) -> bool:
        if await transaction.one(_IS_CURRENT, subject, step_id) is None:
            return False
        await transaction.run(_FORGET_CODES, subject)
        await _keep_codes(transaction, subject, recovery_codes)
        return True

    @read
    async def count_recovery_codes(self, transaction: Transaction, subject: str) -> int:
        row = await transaction.one(_COUNT_CODES, subject)
        return 0 if row is None else int(row["left_over"])

    @write
    async def turn_off(
        self,
        transaction: Transaction,
        subject: str,
        *,
        step_id: str | None = None,
        keeps_passkey_at: str | None = None,
    ) -> bool:
        step = await SECOND_STEPS.one(transaction, _FIND, subject)
        if step is None or step_id not in {None, step.step_id}:
            return False
        if keeps_passkey_at is not None and not await has_passkey(transaction, subject, keeps_passkey_at):
            return False
        for forget in (_UNMARK, _FORGET, _FORGET_CODES):
            await transaction.run(forget, subject)
        await forget_second_factors(transaction, subject)
        return True

    @read
    async def list_second_steps(self, transaction: Transaction) -> list[SecondStep]:
        return await SECOND_STEPS.all(transaction, "SELECT * FROM second_steps ORDER BY subject")

    @write
    async def reseal_second_step(
        self, transaction: Transaction, subject: str, step_id: str, sealed_secret: bytes
    ) -> None:
        await transaction.run(_RESEAL, subject, step_id, sealed_secret)


async def _keep_codes(transaction: Transaction, subject: str, recovery_codes: Sequence[bytes]) -> None:
    for code_fingerprint in recovery_codes:
        await transaction.run(_ADD_CODE, subject, code_fingerprint)
