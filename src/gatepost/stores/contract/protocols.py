"""The store's protocols: one per concern, each method one atomic operation named for its meaning.

Atomic means: it happens wholly or not at all, is durable when it returns, and of any number of parallel callers, in one
process or many, each gets the answer it would get if they had come one after the other. There is never a get followed
by a put. Every backend passes `tests/stores/` whole. Every method may raise `StoreUnavailable`.

A caller that is cancelled while it waits loses the answer, not the operation: it happens wholly or not at all.

`now` is whole seconds UTC. A record whose `expires_at <= now` counts as absent.
"""

from __future__ import annotations

from typing import Protocol

from gatepost.oauth.consent import Consent
from gatepost.oauth.records import (
    AuthorizationCode,
    AuthorizationTransaction,
    Grant,
    IssuedTokens,
    RefreshToken,
)
from gatepost.stores.contract.accounts import BrowserSession, User
from gatepost.stores.contract.approvals import ApprovalStore
from gatepost.stores.contract.audit import AuditStore
from gatepost.stores.contract.changes import ChangeStore
from gatepost.stores.contract.clients import AssertionStore, ClientStore
from gatepost.stores.contract.consents import ConsentStore
from gatepost.stores.contract.expiry import ExpiryStore, LeaseStore
from gatepost.stores.contract.keys import KeyStore
from gatepost.stores.contract.limits import LimitStore
from gatepost.stores.contract.mcp import McpCancellationStore, McpQuestionStore, McpSessionStore, McpStreamStore
from gatepost.stores.contract.outcomes import (
    ApproveOutcome,
    GrantView,
    LiveAccessToken,
    RedeemOutcome,
    RefreshView,
    Rotation,
)


class TransactionStore(Protocol):
    """Authorization requests between /authorize and the code (RFC 6749 section 4.1)."""

    async def begin_transaction(self, transaction: AuthorizationTransaction) -> None:
        """Keep a validated request."""

    async def find_transaction(self, transaction_id: str, *, now: int) -> AuthorizationTransaction | None:
        """Return the transaction if it has not expired."""

    async def approve_transaction(
        self, code: AuthorizationCode, *, now: int, consent: Consent | None = None
    ) -> ApproveOutcome:
        """Mark `code.transaction_id` approved, keep its code, and remember `consent` as `ConsentStore` does, together.

        So a client that is shut out at the same moment loses all three or gets none: were the consent kept in a second
        step, it could outlive what shutting out forgets.

        Approving again while the code is unredeemed replaces the code (a double click must not strand anybody); once it
        has been redeemed, or after a denial, nothing is written.
        """

    async def deny_transaction(self, transaction_id: str, *, now: int) -> bool:
        """Mark it denied; False when it is unknown, expired or already approved. Denying twice is True twice."""


class GrantStore(Protocol):
    """Codes, grants and tokens (RFC 6749 sections 4.1.3, 5 and 6; RFC 7009)."""

    async def find_code(self, code_fingerprint: bytes, *, now: int) -> AuthorizationCode | None:
        """Return the code, spent or not, if it has not expired. A spent one names the grant it created."""

    async def count_failed_redemption(self, code_fingerprint: bytes) -> None:
        """Count one wrong code verifier against the code; an unknown code is fine."""

    async def redeem_code(
        self, code_fingerprint: bytes, grant: Grant, tokens: IssuedTokens, *, now: int
    ) -> RedeemOutcome:
        """Spend an unspent, unexpired code of a user who is not disabled and create its grant and tokens, together."""

    async def find_refresh_token(self, token_fingerprint: bytes) -> RefreshToken | None:
        """Return the refresh token's row, spent or not, expired or not."""

    async def find_grant(self, grant_id: str) -> GrantView | None:
        """Return the grant, revoked or not, with its client and whether its user is disabled."""

    async def find_refresh(self, token_fingerprint: bytes) -> RefreshView | None:
        """Return all that a refresh is judged by, as of one moment: `find_refresh_token` and `find_grant` in one."""

    async def rotate_refresh_token(
        self,
        token_fingerprint: bytes,
        successor: IssuedTokens,
        sealed_successor: bytes,
        *,
        now: int,
        window: int,
    ) -> Rotation:
        """Spend a refresh token and keep its successors, or say what it is instead.

        `successor.refresh` is never None here. `window` is how many seconds after its first use the same token is
        answered again with the same successor, as long as that successor is unspent. Reuse outside of that revokes the
        whole grant, in this same operation.
        """

    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        """Return what a token check needs, or None if the token is unknown or expired."""

    async def revoke_grant(self, grant_id: str, *, reason: str, now: int) -> bool:
        """Revoke the grant and all its tokens; False when there is none. Revoking twice keeps the first reason."""


class UserStore(Protocol):
    """Local accounts and the set-up link."""

    async def offer_setup(self, link_fingerprint: bytes, *, now: int) -> bool:
        """Make this the one valid set-up link if no account exists; False (and nothing written) when one does."""

    async def setup_is_open(self, link_fingerprint: bytes) -> bool:
        """Say whether this is the valid set-up link and no account exists."""

    async def create_first_user(self, link_fingerprint: bytes, user: User) -> bool:
        """Create the first account and void the link; False when the link is not valid or any account exists."""

    async def add_user(self, user: User) -> bool:
        """Add an account and void any set-up link; False when the username is taken."""

    async def find_user(self, username: str) -> User | None:
        """Return the account with this canonical username, disabled or not."""

    async def find_user_by_subject(self, subject: str) -> User | None:
        """Return the account with this subject, disabled or not."""

    async def list_users(self) -> list[User]:
        """Return all accounts, ordered by username."""

    async def disable_user(self, username: str, *, now: int) -> bool:
        """Disable the account, end its browser sessions, void its unspent codes and revoke its grants.

        False when there is none. Disabling twice keeps the first time.
        """

    async def enable_user(self, username: str) -> bool:
        """Undo `disable_user`'s mark on the account (not the revocations); False when there is none."""

    async def change_password(self, username: str, password_hash: str) -> bool:
        """Set the password and end the account's browser sessions; False when there is none."""


class BrowserSessionStore(Protocol):
    """Browser sessions of the pages."""

    async def start_session(self, session: BrowserSession, *, replaces: bytes | None = None) -> bool:
        """Keep a session; the one whose fingerprint is `replaces` ends in the same step (renewal at login).

        False, and nothing is kept, when that one is gone: of several logins with one cookie, one gives a session.
        """

    async def find_session(self, session_fingerprint: bytes, *, now: int) -> BrowserSession | None:
        """Return the session if it has not expired."""

    async def end_session(self, session_fingerprint: bytes) -> None:
        """End the session; ending an unknown one is fine."""


class Store(Protocol):
    """A whole backend: one attribute per concern."""

    @property
    def clients(self) -> ClientStore: ...
    @property
    def assertions(self) -> AssertionStore: ...
    @property
    def transactions(self) -> TransactionStore: ...
    @property
    def grants(self) -> GrantStore: ...
    @property
    def users(self) -> UserStore: ...
    @property
    def browser_sessions(self) -> BrowserSessionStore: ...
    @property
    def keys(self) -> KeyStore: ...
    @property
    def approvals(self) -> ApprovalStore: ...
    @property
    def expiry(self) -> ExpiryStore: ...
    @property
    def leases(self) -> LeaseStore: ...
    @property
    def limits(self) -> LimitStore: ...
    @property
    def audit(self) -> AuditStore: ...
    @property
    def consents(self) -> ConsentStore: ...
    @property
    def mcp_sessions(self) -> McpSessionStore: ...
    @property
    def mcp_streams(self) -> McpStreamStore: ...
    @property
    def mcp_questions(self) -> McpQuestionStore: ...
    @property
    def mcp_cancellations(self) -> McpCancellationStore: ...
    @property
    def changes(self) -> ChangeStore: ...

    @property
    def description(self) -> str:
        """Where the data lies, for people: `memory (lost at exit)`, or a path. Never with credentials."""

    @property
    def is_lost_at_exit(self) -> bool:
        """Whether all of it lives in this process."""

    async def open(self) -> None:
        """Connect and bring the schema up to date; several processes may do so at once.

        Raises:
            StoreMisconfigured: the location, its permissions or its schema version do not allow it.
            StoreUnavailable: it cannot be reached now.
        """

    async def close(self) -> None:
        """Finish what is under way and let go; closing twice is fine."""

    async def check(self) -> None:
        """Read and write a probe, durably. Raises StoreUnavailable when either fails."""
