"""Browser sessions of the pages: one cookie, kept by the store only as a fingerprint (RFC 6265 section 4.1).

On https the cookie is called `__Host-gatepost`: browsers accept that prefix only with `Secure`, `Path=/` and no
`Domain`, so neither a sibling host nor a plain-http page can plant one. Plain http is allowed on loopback only, where
no prefix works; the cookie is then called `gatepost` and the rest of the protection stays. A client on loopback is
then the same site for the browser, cookies and all, so a login there is short, and over before the browser is sent on.

A public URL that names a port carries it in the cookie's name (`gatepost-8000`), because cookies ignore ports: two
servers on one machine would otherwise end each other's logins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.provider import IdentityProvider
from gatepost.stores.contract.browser_sessions import BrowserSession, BrowserSessionStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, identifier, looks_like, mint

PLAIN_HTTP_LOGIN = 15 * 60
"""Seconds that a login lasts at most on plain http, where any other port of the machine can be sent its cookie."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A browser session together with the secret that its cookie carries."""

    secret: str
    record: BrowserSession
    subject: str | None = None
    """Who is logged in and may still act."""


class BrowserSessions:
    """Reads, starts and renews browser sessions.

    Args:
        sessions: where they are kept.
        provider: says whether a user may still act.
        secure: whether the public URL is https.
        lifetime: seconds from start or renewal until a session ends; a login on plain http ends sooner.
        now: the clock, whole seconds UTC.
        random_bytes: the source of session secrets.
        port: the port that the public URL names, or None when it names none.
    """

    def __init__(
        self,
        *,
        sessions: BrowserSessionStore,
        provider: IdentityProvider,
        secure: bool,
        lifetime: int,
        now: Callable[[], int],
        random_bytes: RandomBytes,
        port: int | None = None,
    ) -> None:
        self._sessions = sessions
        self._provider = provider
        self._secure = secure
        self._lifetime = lifetime
        self._now = now
        self._random_bytes = random_bytes
        self.cookie_name = ("__Host-gatepost" if secure else "gatepost") + (f"-{port}" if port is not None else "")

    async def current(self, request: Request) -> OpenSession | None:
        """Return the live session that the request's cookie opens, logged in or not; None when there is none."""
        secret = self._secret(request)
        if secret is None:
            return None
        record = await self._sessions.find_session(fingerprint(secret), now=self._now())
        if record is None:
            return None
        subject = record.subject
        is_active = subject is not None and await self._provider.is_active(subject)
        return OpenSession(secret, record, subject if is_active else None)

    async def current_or_new(self, request: Request) -> OpenSession:
        """Return the live session, or start one for a browser that is new here; `attach` it to the response."""
        return await self.current(request) or await self.start(self.new())

    def new(self) -> OpenSession:
        """Return a session for a browser that is new here; nothing is kept until `start`."""
        return self._new(browser_id=identifier("browser_", self._random_bytes))

    async def start(self, session: OpenSession) -> OpenSession:
        """Keep a session of `new`; `attach` it to the response."""
        await self._sessions.start_session(session.record)
        return session

    async def renew(self, previous: OpenSession, *, subject: str, display_name: str | None) -> OpenSession | None:
        """Log the browser in: a new secret, so that a session planted before the login is worth nothing after it.

        The previous session ends in the same step; its `browser_id` lives on, so that transactions which this browser
        began stay its own. `attach` the result to the response.

        Returns:
            The new session; None when the previous one has ended since it was read, such as by another login with the
            same cookie. Then nobody is logged in by this request.
        """
        session = self._new(browser_id=previous.record.browser_id, subject=subject, display_name=display_name)
        started = await self._sessions.start_session(session.record, replaces=previous.record.session_fingerprint)
        return session if started else None

    def attach(self, response: Response, session: OpenSession) -> None:
        """Set the session's cookie on `response`."""
        response.set_cookie(
            self.cookie_name,
            session.secret,
            max_age=max(session.record.expires_at - self._now(), 0),
            path="/",
            secure=self._secure,
            httponly=True,
            # Not Strict: the browser arrives from the client's site, and must be recognised when it does.
            samesite="lax",
        )

    async def leave(self, request: Request, response: Response) -> None:
        """On plain http, end the browser's session in the store and, with `response`, in the browser.

        `response` sends the browser to a client. Cookies ignore ports (RFC 6265 section 8.5), so a client that listens
        on loopback would be sent the session's secret, and could approve itself with it. Browsers obey the Set-Cookie
        of a redirect before they follow it. On https nothing happens: the cookie goes to this host alone.
        """
        if self._secure:
            return
        for secret in self._secrets(request):
            await self._sessions.end_session(fingerprint(secret))
        response.delete_cookie(self.cookie_name, path="/", httponly=True, samesite="lax")

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

    def _new(self, *, browser_id: str, subject: str | None = None, display_name: str | None = None) -> OpenSession:
        now = self._now()
        is_short = subject is not None and not self._secure
        lifetime = min(self._lifetime, PLAIN_HTTP_LOGIN) if is_short else self._lifetime
        secret = mint(SecretKind.BROWSER_SESSION, self._random_bytes)
        record = BrowserSession(
            session_fingerprint=fingerprint(secret),
            browser_id=browser_id,
            subject=subject,
            display_name=display_name,
            authenticated_at=None if subject is None else now,
            created_at=now,
            expires_at=now + lifetime,
        )
        return OpenSession(secret, record, subject)


def _cookie_values(request: Request, name: str) -> list[str]:
    """Return every value sent under `name`; Starlette's own parser would keep only the last."""
    pairs = (pair.partition("=") for header in request.headers.getlist("cookie") for pair in header.split(";"))
    return [value.strip() for key, separator, value in pairs if separator and key.strip() == name]
