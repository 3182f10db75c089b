"""Codes, grants and tokens (RFC 6749 sections 4.1.3, 5 and 6; RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum, auto
from typing import Final, Protocol, TypeAlias

from gatepost.late_dataclass import dataclass
from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.oauth.records import AuthorizationCode, Client, Grant, IssuedTokens, RefreshToken
from gatepost.stores.contract.users import Person

MOST_GENERATIONS: Final = 300
"""Of successors between a stale refresh token and the newest of its family: a day of refreshes every five minutes."""


class RedeemOutcome(Enum):
    """The answer of `GrantStore.redeem_code`."""

    REDEEMED = auto()
    """This caller alone spent the code; grant and tokens are durable."""
    LOST_RACE = auto()
    """It cannot be spent any more: somebody else spent it between look-up and redemption, a second approval replaced
    it, it expired, or its user was disabled. Nothing was written."""


@dataclass(frozen=True, slots=True)
class CodeView:
    """What the redemption of a code is judged by."""

    code: AuthorizationCode
    """Spent or not."""
    client: Client | None
    """What is registered under the code's `client_id`, disabled or not; None where nothing is."""

    @property
    def client_id(self) -> str:
        """Whose it is."""
        return self.code.client_id


@dataclass(frozen=True, slots=True)
class RefreshView:
    """What a refresh is judged by."""

    token: RefreshToken
    """Spent or not, expired or not."""
    grant: Grant
    """Revoked or not."""
    user_disabled: bool
    person: Person | None
    """Who approved; None where nobody did, such as for a client's own."""
    client: Client | None = None
    """What is registered under the grant's `client_id`, disabled or not; None where nothing is."""

    @property
    def client_id(self) -> str:
        """Whose it is."""
        return self.grant.client_id


@dataclass(frozen=True, slots=True)
class Successor:
    """What is to take the place of a refresh token."""

    tokens: IssuedTokens
    """Never without a refresh token."""
    sealed: bytes
    """The two, so that their predecessor opens them."""
    stale: StaleTokens = ALWAYS_THEFT
    """What becomes of the predecessor when it was spent before."""


JudgeRefresh: TypeAlias = Callable[[RefreshView | None], Successor | None]
"""Says what a refresh token is to be rotated to, by what was found of it; None where it cannot say that at once.

It may be called on another thread, and again, and others wait for it meanwhile: it waits for nothing, asks no store,
and what it changes may be changed from any thread and twice. What it raises, the operation raises."""


class RotateOutcome(Enum):
    """The kind of answer of `GrantStore.rotate_refresh_token`."""

    ROTATED = auto()
    """The old token is spent, the new rows are durable."""
    REPEATED = auto()
    """The old token was spent inside the window and its successor is unused: answer the sealed successor again."""
    STALE = auto()
    """The old token was spent before, though not too long ago: the access token is durable, the refresh token is not
    kept, and the newest of the family is to be answered."""
    REUSED = auto()
    """The old token was spent too long ago, or nothing is known of what came of it: the grant has been revoked."""
    DEAD = auto()
    """Unknown, expired, the grant is revoked or over, or its user is disabled: nothing was written."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The answer of `GrantStore.rotate_refresh_token`."""

    outcome: RotateOutcome
    sealed_successor: bytes | None = None
    """Only for REPEATED."""
    chain: tuple[bytes, ...] = ()
    """Only for STALE: the sealed successors from the presented token to the one whose successor is unspent."""


# Not frozen: a frozen dataclass takes three times as long to build, and one is built for each token that is looked up.
@dataclass(slots=True)
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
    display_name: str | None
    """What the person is called; None when the subject is nobody's here, such as a client's own."""
    user_issuer: str | None = None
    """Who vouches for the person."""
    profile: str | None = None
    """What the issuer says of the person: the text of a `Profile`, which few calls read."""
    person: Person | None = None
    """The person for rules; None where none is behind the token."""
    dpop_jkt: str | None = None
    """The thumbprint of the key that the token is bound to; None for a bearer token."""
    actors: tuple[str, ...] = ()
    """The subjects of those who act with it, the current one first (RFC 8693 section 4.1)."""


class GrantStore(Protocol):
    """Codes, grants and tokens (RFC 6749 sections 4.1.3, 5 and 6; RFC 7009)."""

    async def find_code(self, code_fingerprint: bytes, *, now: int) -> AuthorizationCode | None:
        """Return the code, spent or not, if it has not expired. A spent one names the grant it created."""

    async def find_code_and_client(self, code_fingerprint: bytes, *, now: int) -> CodeView | None:
        """Return what `find_code` does, with what is registered of its client, as of one moment."""

    async def count_failed_redemption(self, code_fingerprint: bytes) -> None:
        """Count one wrong code verifier against the code; an unknown code is fine.

        Repeated: counted again, which is stricter.
        """

    async def redeem_code(
        self, code_fingerprint: bytes, grant: Grant, tokens: IssuedTokens, *, now: int
    ) -> RedeemOutcome:
        """Spend an unspent, unexpired code of a user who is not disabled and create its grant and tokens, together.

        Repeated: `LOST_RACE`, though this caller spent it; the code is not honoured a second time, and its client asks
        for another.
        """

    async def find_refresh(self, token_fingerprint: bytes) -> RefreshView | None:
        """Return all that a refresh is judged by, as of one moment; None when the token is unknown."""

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
        """Spend a refresh token and keep its successors, or say what it is instead.

        `successor.refresh` is never None here. `window` is how many seconds after its first use the same token is
        answered again with the same successor, as long as that successor is unspent. After that, and `stale.seconds`
        from its first use, it is stale if an unbroken chain of at most `MOST_GENERATIONS` successors leads to the
        unspent token of its family, and that one is bound to no key or to that of `successor.refresh`: then
        `successor.access` is kept and the grant ends `stale.grant` seconds from now unless it ends sooner; no token is
        spent and none is added to the family. Any other reuse revokes the whole grant, in this same operation.

        Repeated: `REPEATED` with what was sealed the first time, inside the window; afterwards as any later use. So no
        token is lost with an answer.
        """

    async def refresh_at_once(
        self, token_fingerprint: bytes, judge: JudgeRefresh, *, now: int, window: int
    ) -> tuple[RefreshView | None, Rotation | None]:
        """Look up a refresh token as by `find_refresh`, and rotate it as `judge` says, as by `rotate_refresh_token`.

        Return what was found, and what came of it; None where `judge` has not said, and nothing was written then.

        Repeated: as `rotate_refresh_token`, if `judge` says the same.
        """

    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        """Return what a token check needs, or None if the token is unknown or expired.

        One that was given for another (RFC 8693) has its own client, resource and end; it counts as revoked where its
        grant is, and where its client is gone or disabled.
        """

    async def list_revoked(self, grant_ids: Collection[str]) -> set[str]:
        """Return which of these grants were revoked."""

    async def revoke_grant(self, grant_id: str, *, reason: str, now: int) -> bool:
        """Revoke the grant and all its tokens; False when there is none. The first time and reason stay.

        Repeated: True.
        """

    async def delete_access_tokens(self, *, before: int, limit: int) -> int:
        """Delete access tokens that ended."""

    async def delete_refresh_tokens(self, *, before: int, limit: int) -> int:
        """Delete refresh tokens that ended, spent or not. Until then a spent one shows that it is used again."""

    async def delete_grants(self, *, before: int, limit: int) -> int:
        """Delete grants that were revoked or ended, with whatever tokens they still have; every row counts."""
