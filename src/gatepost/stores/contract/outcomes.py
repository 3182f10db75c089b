"""What the atomic operations answer, where yes or no is not enough."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gatepost.oauth.records import Client, Grant, RefreshToken


class RedeemOutcome(Enum):
    """The answer of `GrantStore.redeem_code`."""

    REDEEMED = auto()
    """This caller alone spent the code; grant and tokens are durable."""
    LOST_RACE = auto()
    """It cannot be spent any more: somebody else spent it between look-up and redemption, a second approval replaced
    it, it expired, or its user was disabled. Nothing was written."""


class ApproveOutcome(Enum):
    """The answer of `TransactionStore.approve_transaction`."""

    APPROVED = auto()
    """The code is durable. An earlier, unredeemed code of the same transaction is dead now."""
    ALREADY_FINISHED = auto()
    """The transaction was denied, or its code has been redeemed: nothing was written."""
    GONE = auto()
    """Unknown or expired: nothing was written."""


@dataclass(frozen=True, slots=True)
class RefreshView:
    """What a refresh is judged by."""

    token: RefreshToken
    """Spent or not, expired or not."""
    grant: Grant
    """Revoked or not."""
    user_disabled: bool


class RotateOutcome(Enum):
    """The kind of answer of `GrantStore.rotate_refresh_token`."""

    ROTATED = auto()
    """The old token is spent, the new rows are durable."""
    REPEATED = auto()
    """The old token was spent inside the window and its successor is unused: answer the sealed successor again."""
    REUSED = auto()
    """The old token was spent before the window, or its successor has been used: the grant has been revoked."""
    DEAD = auto()
    """Unknown, expired, the grant is revoked or over, or its user is disabled: nothing was written."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The answer of `GrantStore.rotate_refresh_token`."""

    outcome: RotateOutcome
    sealed_successor: bytes | None = None
    """Only for REPEATED."""


@dataclass(frozen=True, slots=True)
class LiveAccessToken:
    """All that a token check needs, in one read."""

    subject: str
    client_id: str
    client_name: str | None
    scopes: tuple[str, ...]
    resource: str
    grant_id: str
    expires_at: int
    """Seconds UTC; the earlier of token's and grant's end."""
    grant_revoked: bool
    user_disabled: bool
    username: str | None
    """The local account's name; None when the subject is not a local account."""


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant with what its checks need beside it."""

    grant: Grant
    client: Client | None
    user_disabled: bool
