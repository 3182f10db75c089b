"""How logins end, whichever provider vouches for the person, and what one keeps between two requests.

The `state` that a provider hands out is bound to the browser and to the provider and opens once, so nobody is logged in
by somebody else's answer (RFC 6749 section 10.12, RFC 9700 sections 4.4 and 4.7).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.asking import LoginProviderFailed, ask
from gatepost.identity.entry import ANYBODY, Entry, EntryRefused
from gatepost.identity.provider import (
    Identity,
    IdentityProvider,
    LoginRefused,
    LoginRoute,
    LoginStep,
    LoginUnavailable,
)
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.resource.principal import API_KEY_SUBJECT
from gatepost.resource.profile import Profile
from gatepost.server.calls.callers import ANONYMOUS
from gatepost.stores.contract.linked_logins import LoginKey
from gatepost.stores.contract.logins import LoginStore, PendingLogin
from gatepost.stores.contract.users import User, UserStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, identifier, looks_like, mint
from gatepost.tokens.sealing import derive_key, seal, unseal
from gatepost.web.pages.asserted_profile import as_said, checked_profile
from gatepost.web.pages.browser_session import BrowserSessions, CameBy, OpenSession
from gatepost.web.pages.csrf import check_origin
from gatepost.web.pages.linking import Linking
from gatepost.web.pages.login_purpose import LinkLogin, LogIn, Purpose, from_json, purpose_of, to_json
from gatepost.web.pages.pending_request import ACCOUNT, SECOND_STEP, account_disabled, login_path
from gatepost.web.pages.rendering import PageLink, PageRefusal, Pages, login_unavailable
from gatepost.web.site.audit import Audit
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, words_of

if TYPE_CHECKING:
    from gatepost.identity.upstream_tokens import UpstreamTokens

_LIFETIME: Final = 600
"""Seconds in which the browser has to come back."""
ANSWERS: Final = (Identity, User, LoginStep, type(None))
"""What `authenticate` and `continue_login` may return."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCompletion:
    """Recognises people and logs their browsers in."""

    provider: IdentityProvider
    users: UserStore
    logins: LoginStore
    linking: Linking
    browser_sessions: BrowserSessions
    pages: Pages
    audit: Audit
    origin: str
    """Our own; a form from any other is refused."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    entry: Entry = ANYBODY
    """Who may enter, of all for whom the provider vouches."""
    upstream_tokens: UpstreamTokens | None = None
    """Keeps the tokens of logins elsewhere; None where all of them are forgotten."""

    @property
    def linkable(self) -> Sequence[IdentityProvider]:
        """The providers whose logins a person can add to those they have: they ask elsewhere, and end with `Login`."""
        return [
            each
            for each in self.provider.elsewhere or (self.provider,)
            if each.routes and type(each).challenge is not IdentityProvider.challenge
        ]

    def offers(self, issuer: str) -> bool:
        """Say whether people can log in with a login of this issuer now."""
        return any(each.vouches_for(issuer) for each in self.provider.every)

    def upstream_tokens_of(self, provider: IdentityProvider) -> UpstreamTokens | None:
        """Return what keeps the tokens of a provider, if anything does."""
        tokens = self.upstream_tokens
        return tokens if tokens is not None and tokens.keeps(provider.name) else None

    def purpose_of(self, parameters: Mapping[str, str]) -> LogIn:
        """Return what the login of a URL with these parameters is for."""
        return purpose_of(parameters, linkable=[each.name for each in self.linkable])

    def routes(self) -> tuple[Route, ...]:
        """Return the own routes of each provider."""
        return self.pages.routes(
            *(
                Route(route.method, path_of(each, route.path), partial(self._answer, each, route), limit=PAGE_LIMIT)
                for each in (self.provider, *self.provider.elsewhere)
                for route in each.routes
            )
        )

    async def known_user(self, request: Request) -> User | None:
        """Return the user whom the provider knows without asking; refuse one who is disabled."""
        identity = await ask(self.provider.authenticate, request, {}, returns=ANSWERS)
        return await self.admit(identity) if isinstance(identity, Identity | User) else None

    async def admit(self, identity: Identity | User) -> User:
        """Return the user for whom the provider vouches; refuse one who is disabled."""
        user = await self.recognise(identity)
        if user is None:
            raise account_disabled()
        return user

    async def recognise(self, identity: Identity | User) -> User | None:
        """Return the user for whom the provider vouches, at the first login a new one; None for a disabled account.

        Raises:
            LoginRefused: the rule of who may enter does not name this person.
        """
        if isinstance(identity, User):
            user = identity
            await self.entry.check_again(user)
        else:
            login, profile = await self.judged(identity)
            new = identifier("user_", self.random_bytes)
            user = await self.users.recognise_user(
                *login,
                display_name=_shown_name(identity),
                # Whatever a provider says, nobody gets a subject that is somebody else's.
                subjects=(identity.subject, new) if self._keeps(identity.subject) else (new,),
                now=self.now(),
                profile=profile,
            )
        return user if user.disabled_at is None else None

    async def judged(self, identity: Identity) -> tuple[LoginKey, Profile]:
        """Return which login it is and what is said, of somebody who may enter by it.

        Raises:
            LoginRefused: the rule of who may enter does not name this person.
        """
        issuer = identity.issuer or self.provider.issuer
        try:
            profile = checked_profile(identity, issuer, of=self.provider.every)
        except (TypeError, ValueError, RecursionError) as error:
            raise LoginProviderFailed(f"{type(self.provider).__name__} vouches for nobody: {error}") from None
        # Judged on what is kept, so that a refresh comes to the same answer; nothing is kept of who is refused.
        await self.entry.check(replace(identity, issuer=issuer, **as_said(profile)))
        return LoginKey(issuer, identity.subject), profile

    def _keeps(self, subject: str) -> bool:
        return self.provider.keeps_subjects and subject not in {ANONYMOUS, API_KEY_SUBJECT}

    async def log_in(
        self,
        request: Request,
        session: OpenSession,
        user: User,
        came_by: CameBy | None = None,
        *,
        has_second_factor: bool = False,
    ) -> OpenSession | None:
        """Log the browser in under a new session; None when another login with the same cookie was quicker."""
        issuer = None if came_by is None else came_by.issuer
        if self.browser_sessions.is_password_only(user, issuer, has_second_factor=has_second_factor):
            reason = Reason.SECOND_STEP_REQUIRED
            await self.audit.record(request, AuditEvent.LOGIN, Outcome.REFUSED, reason=reason, subject=user.subject)
        else:
            await self.audit.record(request, AuditEvent.LOGIN, subject=user.subject)
        if came_by is None and user.profile_issuer is not None:
            # A linked login said something of them, and this one says nothing; tools see what the last one says.
            await self.users.forget_profile(user.subject)
        return await self.browser_sessions.renew(session, user, came_by, has_second_factor=has_second_factor)

    async def finish(
        self,
        request: Request,
        session: OpenSession,
        user: User,
        purpose: LogIn,
        *,
        came_by: CameBy | None = None,
        has_second_factor: bool = False,
    ) -> Response:
        """Log the browser in, and return the redirect to consent, or to another page.

        By a redirect, so that loading the next page again sends no password again. Nothing is asked any more, since
        further steps are the provider's; but whose password alone does not suffice sets a second step up first.

        Args:
            request: what the browser sent.
            session: the browser's, which ends.
            user: who it is.
            purpose: where they go on.
            came_by: the login at a provider elsewhere; None for the form here, and for passkeys.
            has_second_factor: whether they have shown a code, or a passkey that verified them, which is two factors.
        """
        renewed = await self.log_in(request, session, user, came_by, has_second_factor=has_second_factor)
        if renewed is None:
            return self.pages.redirect(purpose.page)  # where the slower of two logins finds out
        then = purpose.goes_on or ACCOUNT if renewed.password_only is None else purpose.at(SECOND_STEP)
        return self.browser_sessions.attach(self.pages.redirect(then), renewed)

    async def _answer(self, provider: IdentityProvider, route: LoginRoute, request: Request) -> Response:
        """Answer at one of a provider's own routes."""
        if route.method == "POST":
            check_origin(request, origin=self.origin)
        session = await self.browser_sessions.current(request)
        login = BrowserLogin(self, request, session, provider.name, provider=provider)
        with login.refusals():
            return self.pages.protect(await ask(route.endpoint, request, login, returns=(Response,)))


@dataclass(slots=True)
class BrowserLogin:
    """A `Login`: what a provider is given at one request."""

    completion: LoginCompletion
    request: Request
    session: OpenSession | None
    place: str
    """What goes on with the login; nothing else can open what is kept for it."""
    purpose: Purpose = field(default_factory=LogIn)
    switches_account: bool = False
    is_resumed: bool = False
    provider: IdentityProvider | None = None
    """Who asks, where that is not the provider of the page."""

    def url(self, path: str) -> str:
        """Return where the browser finds one of the provider's routes."""
        return self.completion.origin + path_of(self.provider or self.completion.provider, path)

    async def begin(self, data: Mapping[str, Any]) -> str:
        """Keep `data`, and what the login is for, until this browser comes back."""
        random_bytes, place = self.completion.random_bytes, self.place.encode()
        state = mint(SecretKind.LOGIN_STATE, random_bytes)
        kept = json.dumps({"purpose": to_json(self.purpose), "data": dict(data)}).encode()
        sealed = seal(kept, key=_key(state), associated_data=place, random_bytes=random_bytes)
        browser_id, end = self._browser().record.browser_id, self.completion.now() + _LIFETIME
        await self.completion.logins.begin_login(PendingLogin(fingerprint(state), browser_id, self.place, sealed, end))
        return state

    async def take(self, state: str | None) -> dict[str, Any] | None:
        """Return what was kept, once; None when it is over, or another browser's, or goes on elsewhere."""
        if self.session is None or state is None or not looks_like(SecretKind.LOGIN_STATE, state):
            return None
        browser_id, now = self.session.record.browser_id, self.completion.now()
        logins = self.completion.logins
        pending = await logins.take_login(fingerprint(state), browser_id=browser_id, place=self.place, now=now)
        if pending is None:
            return None
        kept = json.loads(unseal(pending.sealed_data, key=_key(state), associated_data=self.place.encode()))
        purpose = from_json(kept.get("purpose"))
        if purpose is None:
            return None  # it was begun before an upgrade
        self.purpose, self.is_resumed = purpose, True
        data: dict[str, Any] = kept["data"]
        return data

    async def resume(self, state: str | None) -> Mapping[str, str]:
        """Return what was kept, once, or refuse."""
        data = await self.take(state)
        if data is None:
            raise _login_over()
        return data

    async def finish(self, identity: Identity) -> Response:
        """Do what the login is for, and go on."""
        if not self.is_resumed:
            # Else any site could log a browser in, as whomever it likes.
            raise RuntimeError("finish() before resume(): nothing says that this browser began this login")
        if self.provider is not None:
            identity = replace(identity, issuer=identity.issuer or self.provider.issuer)
        completion, session = self.completion, self._browser()
        if isinstance(self.purpose, LinkLogin):
            key, _ = await completion.judged(identity)
            name, session_now = _shown_name(identity), await completion.browser_sessions.current(self.request)
            linked = await completion.linking.finish(self.request, session_now, self.purpose, key, name)
            await self._keep_tokens(self.purpose.subject, identity)
            return linked
        user = await completion.admit(identity)
        await self._keep_tokens(user.subject, identity)
        name_here = (self.provider or completion.provider).name
        came_by = CameBy(name_here, identity.issuer or completion.provider.issuer, identity.subject)
        return await completion.finish(self.request, session, user, self.purpose, came_by=came_by)

    async def _keep_tokens(self, subject: str, identity: Identity) -> None:
        """Keep what the login brought for tools, where the provider is said to keep it."""
        kept, provider = self.completion.upstream_tokens, self.provider or self.completion.provider
        if kept is not None and identity.tokens is not None:
            await kept.keep(subject, provider.name, identity)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Answer the provider's `LoginRefused` and `LoginUnavailable` with a page that has a way back."""
        try:
            yield
        except EntryRefused as refused:
            purpose = self.purpose
            event = AuditEvent.LOGIN if isinstance(purpose, LogIn) else AuditEvent.LOGIN_LINKED
            self.completion.audit.note(self.request, event, Outcome.REFUSED, reason=Reason.USER_NOT_ALLOWED)
            page = purpose.page_of(switch_account=True) if isinstance(purpose, LogIn) else purpose.page
            raise PageRefusal(
                Reason.USER_NOT_ALLOWED,
                status=403,
                title=Phrase("You may not enter here") if isinstance(purpose, LogIn) else Phrase("Nothing was linked"),
                message=words_of(refused),
                link=PageLink(page, Phrase("Use another account")),
            ) from None
        except LoginRefused as refused:
            links = isinstance(self.purpose, LinkLogin)
            event = AuditEvent.LOGIN_LINKED if links else AuditEvent.LOGIN
            # Behind, and in a bounded queue: an attacker can cause as many of these as it likes.
            self.completion.audit.note(self.request, event, Outcome.REFUSED, reason=Reason.LOGIN_FAILED)
            raise PageRefusal(
                Reason.LOGIN_FAILED,
                status=403,
                title=Phrase("Nothing was linked") if links else Phrase("You are not logged in"),
                message=words_of(refused),
                link=PageLink(self.purpose.page, Phrase("Try again")),
            ) from None
        except LoginUnavailable as failure:
            raise login_unavailable(failure, link=PageLink(self.purpose.page, Phrase("Try again"))) from None

    def _browser(self) -> OpenSession:
        if self.session is None:
            raise _login_over()
        return self.session


def _shown_name(identity: Identity) -> str | None:
    """Return a name that pages and terminals can show: somebody else's server may have let the person choose it."""
    return display_text(identity.display_name or "") or None


def path_of(provider: IdentityProvider, path: str) -> str:
    """Return where one of a provider's own routes is."""
    return f"/oauth/login/{provider.name}/{path}"


def _key(state: str) -> bytes:
    return derive_key(state.encode(), purpose="pending-login")


def _login_over() -> PageRefusal:
    return PageRefusal(
        Reason.LOGIN_STATE_INVALID,
        title=Phrase("This login is over"),
        message=Phrase(
            "It has been used already, took too long, or was begun in another browser. "
            "Go back to your app and connect again, or log in here."
        ),
        link=PageLink(login_path(), Phrase("Log in")),
    )
