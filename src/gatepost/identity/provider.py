"""The protocol that every login provider implements; `docs/login-providers.md` shows how to write one.

The pages know providers only through this protocol. On each arrival at the login page they ask in this order:

1. `awaits_setup()`: nobody can log in yet; say where the first account comes from.
2. `authenticate(request, {})`: some know who is there without asking. The authorization endpoint asks this, too.
3. `challenge(request, login)`: some ask elsewhere, and the browser comes back to one of the provider's `routes`.
4. `authenticate(request, credentials)` with what the form of `login_fields` gets; then `continue_login`, step by step.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.users import User
from gatepost.tokens.opaque import RandomBytes
from gatepost.wording.phrase import Words

if TYPE_CHECKING:
    import httpx2

    from gatepost.identity.token_set import TokenSet

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Identity:
    """A person for whom a provider vouches."""

    subject: str
    """Stable and unique among those of its issuer; not an e-mail address, which can change hands."""
    display_name: str | None = None
    """For pages; kept as it was when None."""
    issuer: str | None = None
    """Who says so, such as the issuer URL of an OpenID provider; the provider's own `issuer` when None."""
    email: str | None = None
    email_verified: bool = False
    """Whether the issuer says that the address is theirs (`email_verified` of OpenID Connect)."""
    groups: Sequence[str] = ()
    claims: Mapping[str, object] = field(default_factory=dict[str, object])
    """Whatever else the issuer says: JSON, of its names and values."""
    tokens: TokenSet | None = field(default=None, repr=False)
    """With which tools may act there, where they are to be kept: of providers that ask elsewhere."""


@dataclass(frozen=True, slots=True)
class LoginField:
    """One field of a login form."""

    name: str
    label: Words
    secret: bool = False
    autocomplete: str = "off"
    """As in HTML: `username`, `current-password`, `one-time-code`."""
    inputmode: str | None = None
    """As in HTML: which keyboard a phone shows, such as `numeric`."""
    hint: Words | None = None
    """A sentence below the field."""


@dataclass(frozen=True, slots=True)
class LoginStep:
    """A further form, such as for a second factor, after what has been typed so far was right."""

    fields: Sequence[LoginField]
    data: Mapping[str, str]
    """For `continue_login`: kept on the server, sealed, for this browser and one answer."""
    problem: Words | None = None
    """What was wrong with the last answer, when the form is shown again."""
    heading: Words | None = None
    """What the form is called; like the first one when None."""
    short_secret: str | None = None
    """Names the secret that short answers are guesses at, such as that of one-time codes. These are then counted by it,
    strictly, beside the attempts to log in. Another name when the secret changes, or what had to be known before."""


class LoginRefused(Exception):
    """Nobody is logged in; the argument says why, in a sentence for the person at the browser (`Words`)."""


class LoginUnavailable(Exception):
    """Nobody can be logged in now; the argument says what failed, in a sentence for the person at the browser."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an installation has for its provider."""

    now: Callable[[], int]
    """The clock, whole seconds UTC."""
    random_bytes: RandomBytes
    transport: Callable[[str], httpx2.AsyncBaseTransport]
    """Returns the way to a URL of a server that the operator names: bounded, and by the forward proxy if there is."""
    organizations: frozenset[str] = frozenset()
    """Those at GitHub that rules name, in lower case; to know who is in them costs requests and a scope."""


class Login(Protocol):
    """One browser's login, for a provider that asks elsewhere. `PageRefusal` becomes a page; do not catch it."""

    switches_account: bool
    """Whether the person asked for another account than the one they are logged in with."""

    def url(self, path: str) -> str:
        """Return the absolute URL of one of the provider's routes, such as the redirect URI of an upstream login."""

    async def begin(self, data: Mapping[str, str]) -> str:
        """Keep `data`, such as nonce and code verifier, and return the one-use `state` that gives it back.

        It is kept on the server, sealed under `state`, for this browser, this provider and ten minutes.
        """

    async def resume(self, state: str | None) -> Mapping[str, str]:
        """Return the data of `begin`; of several requests with one `state` the first gets it.

        Raises:
            PageRefusal: unknown, used before, over, or begun in another browser or with another provider.
        """

    async def finish(self, identity: Identity) -> Response:
        """Log the browser in under a new session, and return the redirect to where the login began. After `resume`.

        Raises:
            PageRefusal: the account is disabled.
        """


@dataclass(frozen=True, slots=True)
class LoginRoute:
    """One method at one path of a provider's own; a POST is taken from our own pages only."""

    path: str
    """Below `/oauth/login/<name of the provider>/`."""
    endpoint: Callable[[Request, Login], Awaitable[Response]]
    method: str = "GET"


@runtime_checkable
class IdentityProvider(Protocol):
    """Says who is at the browser. A subclass inherits the answers that fit most."""

    @property
    def name(self) -> str:
        """One word that stays, of lower-case letters, digits and hyphens: in its URLs, and by default the issuer."""

    @property
    def issuer(self) -> str:
        """Who vouches for its people. Whoever has the same issuer and subject is the same person."""
        return self.name

    @property
    def keeps_subjects(self) -> bool:
        """Whether tools see its subjects as they are, where nobody has them yet; else random ones of this server's."""
        return False

    @property
    def label(self) -> str:
        """What people call it, on a page that offers several."""
        return self.name

    @property
    def elsewhere(self) -> Sequence[IdentityProvider]:
        """Further providers that the login page offers by a link; they ask elsewhere."""
        return ()

    @property
    def every(self) -> Sequence[IdentityProvider]:
        """Those by which people log in: itself, unless it puts several side by side."""
        return (self,)

    def vouches_for(self, issuer: str) -> bool:
        """Say whether people of this issuer can log in by it."""
        return issuer == self.issuer

    @property
    def reads_query(self) -> bool:
        """Whether the query of an authorization request is kept, as `request.state.authorization_query`."""
        return False

    @property
    def login_fields(self) -> tuple[LoginField, ...]:
        """What the login page asks for; empty when nothing has to be asked."""
        return ()

    @property
    def routes(self) -> Sequence[LoginRoute]:
        """Its own routes."""
        return ()

    def connect(self, surroundings: Surroundings) -> None:
        """Take what the installation has; called when it is built, before anybody is asked."""
        return

    async def authenticate(
        self, request: Request, credentials: Mapping[str, str]
    ) -> Identity | User | LoginStep | None:
        """Return who this is, or None. A provider of local accounts returns the `User`.

        `credentials` is empty when a browser arrives, which has to be answered fast and without effect, and holds the
        submitted `login_fields` afterwards. Unknown user and wrong secret are the same answer after the same time.
        """
        return None

    async def continue_login(
        self, request: Request, credentials: Mapping[str, str], data: Mapping[str, str]
    ) -> Identity | User | LoginStep | None:
        """Return who has answered a `LoginStep` with `data`, or a further step, or None to begin again."""
        return None

    async def challenge(self, request: Request, login: Login) -> Response | None:
        """Return a response that makes the browser identify its user elsewhere, or None to show the login form."""
        return None

    async def is_active(self, user: User) -> bool:
        """Say whether somebody who has logged in with this provider, and is not disabled, may still act.

        `issuer` and `external_subject` are those of the login they came by, whatever other logins they have.
        """
        return True

    async def awaits_setup(self) -> bool:
        """Say whether the first account is still to be created through the set-up link."""
        return False

    @property
    def can_switch_account(self) -> bool:
        """Whether there can be another account to log in with."""
        return True


def check_provider(provider: IdentityProvider) -> None:
    """Raise ValueError for what the author of a provider got wrong, a sentence, before anybody logs in."""
    for each in (provider, *provider.elsewhere):
        if _NAME.fullmatch(each.name) is None:
            raise ValueError(f"{type(each).__name__}.name has to be lower-case letters, digits and hyphens")
    if not all(isinstance(asked, LoginField) for asked in provider.login_fields):
        raise ValueError(f"{type(provider).__name__}.login_fields has to be a list of LoginField(...)")
