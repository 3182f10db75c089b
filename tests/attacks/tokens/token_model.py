"""The whole of what should be true of codes and tokens, as plain records and rules without a store or a server.

A code is spent once; its second use ends what it gave. A refresh token is spent once, answered again for two minutes
while its successor is unused, gets the newest of its family with an access token of its own for as long as its client
may come late, and anything else ends the grant. A grant also ends, a refresh token's lifetime after somebody first came
late, with its user, its client, its
lifetime, and when its client gives any of its tokens back. An access token counts for as long as both it and its grant
last, at its own resource and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from gatepost.oauth.policy import Lifetimes

MAX_WRONG_VERIFIERS = 5
WEEK = 7 * 24 * 3600
"""For how long refresh tokens are kept after their end."""


class Verdict(Enum):
    """What should come of a request to the token endpoint."""

    NEW = auto()
    """New tokens."""
    AGAIN = auto()
    """The answer that this token got before."""
    NEWEST = auto()
    """An access token and the newest refresh token of the family."""
    REFUSED = auto()
    CLIENT_REFUSED = auto()


class Attempt(Enum):
    """How a code or a refresh token is presented."""

    RIGHTLY = auto()
    WITH_WRONG_VERIFIER = auto()
    WITH_WRONG_REDIRECT_URI = auto()
    FOR_OTHER_RESOURCE = auto()
    FOR_MORE_SCOPES = auto()
    BY_OTHER_CLIENT = auto()


@dataclass(eq=False)
class User:
    """Somebody with an account."""

    name: str
    is_disabled: bool = False

    @property
    def subject(self) -> str:
        return f"user_{self.name}"


@dataclass(eq=False)
class App:
    """A client."""

    client_id: str
    refresh_reuse: int
    is_disabled: bool = False


@dataclass(eq=False)
class Pair:
    """An access token and the refresh token that came with it."""

    grant: ModelGrant
    access_token: str
    refresh_token: str
    scopes: frozenset[str]
    created_at: int
    spent_at: int | None = None
    owner: Pair | None = None
    """Whose refresh token it is, if it came with another access token first."""
    purged: set[str] = field(default_factory=set)
    """Which of the two tokens the server has deleted."""

    @property
    def successor(self) -> Pair | None:
        # Who came late has the refresh token of another pair.
        following = self.grant.pairs[self.grant.pairs.index(self.owner or self) + 1 :]
        return following[0] if following else None


@dataclass(eq=False)
class ModelGrant:
    """One approval that was redeemed."""

    user: User
    app: App
    resource: str
    scopes: frozenset[str]
    ends: int
    is_revoked: bool = False
    pairs: list[Pair] = field(default_factory=list)
    late_pairs: list[Pair] = field(default_factory=list)
    """What was given to those who came late."""


@dataclass(eq=False)
class Code:
    """One authorization code."""

    text: str
    user: User
    app: App
    resource: str
    scopes: frozenset[str]
    ends: int
    wrong_verifiers: int = 0
    is_void: bool = False
    grant: ModelGrant | None = None


class Model:
    """Decides what should come of each request, and which tokens are alive."""

    def __init__(self, lifetimes: Lifetimes) -> None:
        self.lifetimes = lifetimes
        self.codes: list[Code] = []
        self.grants: list[ModelGrant] = []

    @property
    def pairs(self) -> list[Pair]:
        """Every pair of tokens that was ever issued."""
        return [pair for grant in self.grants for pair in grant.pairs + grant.late_pairs]

    def is_alive(self, pair: Pair, *, now: int) -> bool:
        """Say whether an access token counts."""
        grant = pair.grant
        return not grant.is_revoked and now < min(grant.ends, pair.created_at + self.lifetimes.access_token)

    def redeem(self, code: Code, attempt: Attempt, *, by: App, now: int) -> Verdict:
        """Present a code."""
        if by.is_disabled:
            return Verdict.CLIENT_REFUSED
        if code.is_void or now >= code.ends or by is not code.app:
            return Verdict.REFUSED
        if code.grant is not None:
            code.grant.is_revoked = True  # however wrong the rest of the request is
            return Verdict.REFUSED
        if code.wrong_verifiers >= MAX_WRONG_VERIFIERS or attempt is not Attempt.RIGHTLY:
            code.wrong_verifiers += attempt is Attempt.WITH_WRONG_VERIFIER
            return Verdict.REFUSED
        code.grant = ModelGrant(code.user, code.app, code.resource, code.scopes, now + self.lifetimes.grant)
        self.grants.append(code.grant)
        return Verdict.NEW

    def refresh(self, pair: Pair, attempt: Attempt, *, by: App, now: int) -> Verdict:
        """Present a refresh token."""
        grant = pair.grant
        pair = pair.owner or pair
        if by.is_disabled:
            return Verdict.CLIENT_REFUSED
        if by is not grant.app or attempt is not Attempt.RIGHTLY:
            return Verdict.REFUSED
        if grant.is_revoked or now >= min(grant.ends, pair.created_at + self.lifetimes.refresh_token):
            return Verdict.REFUSED
        if pair.spent_at is None:
            pair.spent_at = now
            return Verdict.NEW
        return self.refresh_again(pair, spent_at=pair.spent_at, by=by, now=now)

    def refresh_again(self, pair: Pair, *, spent_at: int, by: App, now: int) -> Verdict:
        """Present a refresh token that was spent before."""
        grant, successor = pair.grant, pair.successor
        if now - spent_at <= self.lifetimes.refresh_window and successor is not None and successor.spent_at is None:
            return Verdict.AGAIN
        if by.refresh_reuse and now - spent_at <= by.refresh_reuse:
            grant.ends = min(grant.ends, now + self.lifetimes.refresh_token)
            return Verdict.NEWEST
        grant.is_revoked = True
        return Verdict.REFUSED

    def give_back(self, pair: Pair, token: str, *, by: App) -> None:
        """Present a token for revocation."""
        if by is pair.grant.app and not by.is_disabled and token not in pair.purged | (pair.owner or pair).purged:
            pair.grant.is_revoked = True

    def disable(self, who: User | App) -> None:
        """End all that a user allowed, or a client was given."""
        who.is_disabled = True
        for code in self.codes:
            code.is_void |= who in (code.user, code.app)
        for grant in self.grants:
            grant.is_revoked |= who in (grant.user, grant.app)

    def purge(self, *, now: int) -> None:
        """Forget tokens that are over: giving them back ends nothing any more."""
        for pair in self.pairs:
            if min(pair.grant.ends, pair.created_at + self.lifetimes.access_token) <= now:
                pair.purged.add(pair.access_token)
            if (
                pair.owner is None
                and min(pair.grant.ends, pair.created_at + self.lifetimes.refresh_token) <= now - WEEK
            ):
                pair.purged.add(pair.refresh_token)
