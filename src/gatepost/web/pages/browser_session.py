"""Browser sessions of the pages: one cookie, kept by the store only as a fingerprint (RFC 6265 section 4.1).

On https the cookie is called `__Host-gatepost`: browsers accept that prefix only with `Secure`, `Path=/` and no
`Domain`, so neither a sibling host nor a plain-http page can plant one. Plain http is allowed on loopback only, where
no prefix works; the cookie is then called `gatepost` and the rest of the protection stays. A client on loopback is
then the same site for the browser, cookies and all, so a login there is short, and over before the browser is sent on.

A public URL that names a port or a path carries it in the cookie's name (`gatepost-8000`, `__Host-gatepost+tools`):
cookies ignore ports, and `__Host-` allows no other `Path` than `/`. Two servers on one host would otherwise end each
other's logins.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.asking import ask
from gatepost.identity.entry import ANYBODY, Entry
from gatepost.identity.provider import IdentityProvider
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.browser_sessions import BrowserSession, BrowserSessionStore, SessionView
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.users import LOCAL, User
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, identifier, looks_like, mint

PLAIN_HTTP_LOGIN = 15 * 60
"""Seconds that a login lasts at most on plain http, where any other port of the machine can be sent its cookie."""

USE_NOTED_EVERY = 10 * 60
"""Seconds: a login that goes on writes no more often, so that most pages write nothing."""


@dataclass(frozen=True, slots=True)
class CameBy:
    """The login with which somebody logged in, one of those that they have."""

    provider: str
    """The name of the provider that said who it is."""
    issuer: str
    external_subject: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A browser session together with the secret that its cookie carries."""

    secret: str
    record: BrowserSession
    user: User | None = None
    """Who is logged in and may still act."""
    password_only: User | None = None
    """Who has logged in by a password alone where that does not suffice: for every page nobody is logged in, but for
    those that set a second step or a passkey up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSessions:
    """Reads, starts and renews browser sessions."""

    sessions: BrowserSessionStore
    provider: IdentityProvider
    """Who logged in with another than it, or than those that it offers, does not count as logged in any more."""
    secure: bool
    """Whether the public URL is https."""
    lifetime: int
    """Seconds from start or renewal until a session ends; a login on plain http ends sooner."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    entry: Entry = ANYBODY
    """Whom it does not name any more has to log in again, and is told why."""
    name_suffix: str = ""
    """What tells the cookie from those of other servers on the same host (`web.site.base_path.cookie_suffix`)."""
    demands_second_step: Callable[[User], bool] = lambda _user: False
    """Of whom more than the password of their account is demanded."""

    @property
    def cookie_name(self) -> str:
        """What the cookie is called."""
        return ("__Host-gatepost" if self.secure else "gatepost") + self.name_suffix

    async def current(self, request: Request) -> OpenSession | None:
        """Return the live session that the request's cookie opens, logged in or not."""
        secret, now = self._secret(request), self.now()
        found = secret and await self.sessions.find_session(fingerprint(secret), now=now)
        if not (secret and found):
            return None
        session, user = found.session, await self._active(found)
        if user is not None and now - (session.last_used_at or session.created_at) >= USE_NOTED_EVERY:
            with suppress(StoreUnavailable):  # nothing hangs on it
                await self.sessions.note_use(session.session_fingerprint, now=now)
        return self._opened(secret, session, user)

    async def current_or_new(self, request: Request) -> OpenSession:
        """Return the live session, or start one for a browser that is new here; `attach` it to the response."""
        return await self.current(request) or await self.start(self.new())

    def new(
        self,
        browser_id: str | None = None,
        user: User | None = None,
        came_by: CameBy | None = None,
        *,
        has_second_factor: bool = False,
    ) -> OpenSession:
        """Return a session, by default for a browser that is new here; nothing is kept until `start`.

        Who logged in came by the login that their account began with, at the provider of the form, unless `came_by`
        says another. With `has_second_factor` they have shown more than a password.
        """
        now = self.now()
        if user is not None and came_by is None:
            came_by = CameBy(self.provider.every[-1].name, user.issuer, user.external_subject)
        is_short = user is not None and not self.secure
        lifetime = min(self.lifetime, PLAIN_HTTP_LOGIN) if is_short else self.lifetime
        secret = mint(SecretKind.BROWSER_SESSION, self.random_bytes)
        record = BrowserSession(
            session_fingerprint=fingerprint(secret),
            browser_id=browser_id or identifier("browser_", self.random_bytes),
            subject=None if user is None else user.subject,
            provider=None if came_by is None else came_by.provider,
            authenticated_at=None if user is None else now,
            created_at=now,
            expires_at=now + lifetime,
            issuer=None if came_by is None else came_by.issuer,
            external_subject=None if came_by is None else came_by.external_subject,
            has_second_factor=has_second_factor,
        )
        return self._opened(secret, record, user)

    async def start(self, session: OpenSession) -> OpenSession:
        """Keep a session of `new`; `attach` it to the response."""
        await self.sessions.start_session(session.record, of=session.user or session.password_only)
        return session

    async def renew(
        self,
        previous: OpenSession,
        user: User,
        came_by: CameBy | None = None,
        *,
        has_second_factor: bool = False,
    ) -> OpenSession | None:
        """Log the browser in: a new secret, so that a session planted before the login is worth nothing after it.

        The previous session ends in the same step; its `browser_id` lives on, so that transactions which this browser
        began stay its own. `attach` the result to the response.

        Returns:
            The new session; None when the previous one has ended since it was read, such as by another login with the
            same cookie, or when what `user` showed counts no more, such as a password that was changed meanwhile. Then
            nobody is logged in by this request.
        """
        session = self.new(previous.record.browser_id, user, came_by, has_second_factor=has_second_factor)
        previous_one = previous.record.session_fingerprint
        started = await self.sessions.start_session(session.record, replaces=previous_one, of=user)
        return session if started else None

    async def confirm(self, previous: OpenSession, *, has_second_factor: bool = False) -> OpenSession | None:
        """Note that whoever is logged in has just shown again who they are: under a new secret, to the same end.

        With `has_second_factor` by more than a password. `attach` the result to the response; None when the session
        has ended since it was read.
        """
        secret = mint(SecretKind.BROWSER_SESSION, self.random_bytes)
        record = replace(
            previous.record,
            session_fingerprint=fingerprint(secret),
            authenticated_at=self.now(),
            has_second_factor=previous.record.has_second_factor or has_second_factor,
        )
        started = await self.sessions.start_session(record, replaces=previous.record.session_fingerprint)
        return OpenSession(secret, record, previous.user) if started else None

    def is_password_only(self, user: User, issuer: str | None, *, has_second_factor: bool) -> bool:
        """Say whether somebody who came by a login of `issuer` has to show more before anything else.

        A login elsewhere is as good as its provider; None is the login that the account began with.
        """
        return not has_second_factor and (issuer or user.issuer) == LOCAL and self.demands_second_step(user)

    def _opened(self, secret: str, record: BrowserSession, user: User | None) -> OpenSession:
        # The one place where it is decided, for sessions of whatever age, so that no page has to think of it.
        more = user is not None and self.is_password_only(
            user, record.issuer, has_second_factor=record.has_second_factor
        )
        return OpenSession(secret, record, None, user) if more else OpenSession(secret, record, user)

    def attach(self, response: Response, session: OpenSession) -> Response:
        """Set the session's cookie on `response`, and return it."""
        response.set_cookie(
            self.cookie_name,
            session.secret,
            max_age=max(session.record.expires_at - self.now(), 0),
            path="/",
            secure=self.secure,
            httponly=True,
            # Not Strict: the browser arrives from the client's site, and must be recognised when it does.
            samesite="lax",
        )
        return response

    async def leave(self, request: Request, response: Response) -> None:
        """On plain http, end the browser's session in the store and, with `response`, in the browser.

        `response` sends the browser to a client. Cookies ignore ports (RFC 6265 section 8.5), so a client that listens
        on loopback would be sent the session's secret, and could approve itself with it. Browsers obey the Set-Cookie
        of a redirect before they follow it. On https nothing happens: the cookie goes to this host alone.
        """
        if self.secure:
            return
        for secret in self._secrets(request):
            await self.sessions.end_session(fingerprint(secret))
        self.forget(response)

    def forget(self, response: Response) -> None:
        """Have the browser forget its session's cookie."""
        response.delete_cookie(self.cookie_name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def sent_a_cookie(self, request: Request) -> bool:
        """Say whether the browser sent our cookie at all, live or dead: if not, it may be refusing cookies."""
        return bool(_cookie_values(request, self.cookie_name))

    def _secret(self, request: Request) -> str | None:
        secrets = self._secrets(request)
        # Two different ones cannot both come from us: on plain http, another program on this machine can plant a
        # cookie with a longer path in front of ours. No order of preference is safe, so neither is used.
        return secrets.pop() if len(secrets) == 1 else None

    def _secrets(self, request: Request) -> set[str]:
        values = _cookie_values(request, self.cookie_name)
        return {value for value in values if looks_like(SecretKind.BROWSER_SESSION, value)}

    async def _active(self, found: SessionView) -> User | None:
        """Return who is logged in, unless that ended: by disabling, or because the provider is not used any more."""
        user, session = found.user, found.session
        provider = next((each for each in self.provider.every if each.name == session.provider), None)
        if user is None or user.disabled_at is not None or provider is None:
            return None
        known_there = user
        if session.issuer is not None and session.external_subject is not None:
            known_there = replace(user, issuer=session.issuer, external_subject=session.external_subject)
        if not await ask(provider.is_active, known_there, returns=(bool,)):
            return None
        # Who came by a password is judged as that, whatever another login has said of them since.
        judged = replace(known_there, profile_issuer=None) if session.issuer == LOCAL else user
        return user if await self.entry.still_admits(judged) else None


def _cookie_values(request: Request, name: str) -> list[str]:
    """Return every value sent under `name`; Starlette's own parser would keep only the last."""
    pairs = (pair.partition("=") for header in request.headers.getlist("cookie") for pair in header.split(";"))
    return [value.strip() for key, separator, value in pairs if separator and key.strip() == name]
