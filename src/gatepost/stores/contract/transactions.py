"""Authorization requests between /authorize and the code (RFC 6749 section 4.1)."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from gatepost.oauth.consent import Consent
from gatepost.oauth.limits import MOST_BEGUN
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client


class ApproveOutcome(Enum):
    """The answer of `TransactionStore.approve_transaction`."""

    APPROVED = auto()
    """The code is durable. An earlier, unredeemed code of the same transaction is dead now."""
    ALREADY_FINISHED = auto()
    """The transaction was denied, or its code has been redeemed: nothing was written."""
    GONE = auto()
    """Unknown or expired: nothing was written."""
    USER_DISABLED = auto()
    """The user of the code is disabled: nothing was written."""


class TransactionStore(Protocol):
    """Authorization requests between /authorize and the code (RFC 6749 section 4.1)."""

    async def begin_transaction(self, request: AuthorizationTransaction, *, most: int = MOST_BEGUN) -> None:
        """Keep a validated request; of those that nobody has approved the oldest goes that is not of the `most` newest.

        Anybody can begin requests from any number of addresses; the newest are those that a person may be at.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def find_transaction(self, transaction_id: str, *, now: int) -> AuthorizationTransaction | None:
        """Return the transaction if it has not expired; its state is `REDEEMED` once its code has been used."""

    async def approve_transaction(
        self, code: AuthorizationCode, *, now: int, consent: Consent | None = None
    ) -> ApproveOutcome:
        """Mark `code.transaction_id` approved, keep its code, and remember `consent`, together.

        The consent takes the place of one with the same key. For a user who is disabled nothing is kept: who was logged
        in when that was done would otherwise hold a code, which is good again as soon as they are enabled.

        So a client that is shut out at the same moment loses all three or gets none: were the consent kept in a second
        step, it could outlive what shutting out forgets.

        Approving again while the code is unredeemed replaces the code (a double click must not strand anybody); once it
        has been redeemed, or after a denial, nothing is written.

        Repeated with the same code: `APPROVED`, and the code is the same, if it is unredeemed.
        """

    async def approve_at_once(self, request: AuthorizationTransaction, code: AuthorizationCode, client: Client) -> bool:
        """Keep a request that needs no question, approved, with its code: `begin_transaction` and approval in one step.

        False, and nothing is written, when `client`, by which the request was judged, is not what the store holds any
        more, or when the user is disabled. So one who is shut out at the same moment loses the code or gets none.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def deny_transaction(self, transaction_id: str, *, now: int) -> bool:
        """Mark it denied; False when it is unknown, expired or already approved. Repeated: True."""

    async def delete_transactions(self, *, before: int, limit: int) -> int:
        """Delete those that ended, each with its code; `limit` counts the requests.

        One whose code still lives stays: a code that was used has to be known when it is sent again.
        """
