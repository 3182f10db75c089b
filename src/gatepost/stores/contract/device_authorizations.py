"""Requests of devices, from the two codes to the tokens (RFC 8628)."""

from __future__ import annotations

from typing import Protocol

from gatepost.oauth.device_authorization import DeviceAuthorization, Poll
from gatepost.oauth.limits import MOST_BEGUN
from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.transactions import ApproveOutcome


class DeviceAuthorizationStore(Protocol):
    """Requests of devices."""

    async def begin_device_authorization(self, request: DeviceAuthorization, *, most: int = MOST_BEGUN) -> bool:
        """Keep a request; of those that nobody has approved the oldest goes that is not of the `most` newest.

        False, and nothing is written, when another one has its user code, over or not: make another code.

        Repeated: False, since the first call's has it.
        """

    async def find_device_authorization(self, device_code_fingerprint: bytes) -> DeviceAuthorization | None:
        """Return the request of a device code, spent or not, over or not: who asks is told which."""

    async def find_user_code(self, user_code: str, *, now: int) -> DeviceAuthorization | None:
        """Return the request that waits under a user code; None where nobody waits for an answer any more."""

    async def note_poll(self, device_code_fingerprint: bytes, *, now: int) -> Poll:
        """Note that the client of a pending request asks, and say whether it is too soon for that.

        Who asks too soon has to wait longer from now on (`gatepost.oauth.device_authorization`); from the longest
        interval on nothing is written for it. `IN_TIME`, and nothing is written, when nobody waits any more.

        Repeated: `TOO_SOON`, unless the interval has passed, so the client waits longer.
        """

    async def approve_device(
        self, transaction_id: str, *, subject: str, scopes: tuple[str, ...], now: int
    ) -> ApproveOutcome:
        """Mark the request that a person was asked about approved by `subject`, for `scopes`, and the question, too.

        `ALREADY_FINISHED`, and nothing is written, once either was denied, somebody else approved the request, or its
        device code was redeemed. `GONE` when either is unknown or over, or the question is about no device.
        `USER_DISABLED`, and nothing is written, when that is what the user is.

        Repeated: `APPROVED`; what was approved last counts, as long as the device code is unspent.
        """

    async def deny_device(self, transaction_id: str, *, now: int) -> bool:
        """Mark the request that a person was asked about denied, and the question, too.

        False when either is unknown, over or already approved. Repeated: True.
        """

    async def redeem_device_code(
        self, device_code_fingerprint: bytes, grant: Grant, tokens: IssuedTokens, *, now: int
    ) -> RedeemOutcome:
        """Spend the device code of an approved, unexpired request of a user who is not disabled; keep grant and tokens.

        `LOST_RACE` when it cannot be spent, or when the grant is not for whom and what was approved.

        Repeated: `LOST_RACE`, though this caller spent it; the code is not honoured a second time.
        """

    async def delete_device_authorizations(self, *, before: int, limit: int) -> int:
        """Delete requests that ended."""
