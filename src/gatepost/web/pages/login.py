"""GET and POST /oauth/login: who is at the browser?

With `?transaction=ID` the login is a step of that authorization request and goes on to consent; without, it only logs
in. There is no parameter that says where to go next, so there is nothing to point elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.provider import Identity, IdentityProvider
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationTransaction
from gatepost.oauth.redirect_uris import display_host, is_loopback
from gatepost.resource.resources import ProtectedResource
from gatepost.web.pages.browser_session import BrowserSessions, OpenSession
from gatepost.web.pages.concurrent_attempts import AttemptsAtOnce
from gatepost.web.pages.csrf import check_csrf_token, check_origin, csrf_token, read_form, without_session
from gatepost.web.pages.login_throttle import LoginThrottle, account_of
from gatepost.web.pages.pending_request import PendingRequests, check_undenied, query
from gatepost.web.pages.rendering import Link, Pages
from gatepost.web.site.api_description import (
    PAGE_FLOODED,
    PAGE_FORM_REFUSALS,
    PAGE_UNAVAILABLE,
    TEXT,
    Operation,
    in_query,
    moved,
    page,
    page_form,
)
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route

_PURPOSE = "login"


def login_path(transaction_id: str | None = None, *, switch_account: bool = False) -> str:
    """Return the path of the login page, for an authorization request or by itself.

    With `switch_account` the page asks even if somebody is logged in.
    """
    parameters = [] if transaction_id is None else [f"transaction={quote(transaction_id, safe='')}"]
    if switch_account:
        parameters.append("switch=1")
    return "/oauth/login" + ("?" + "&".join(parameters) if parameters else "")


def consent_path(transaction_id: str) -> str:
    """Return the path of the consent page of an authorization request."""
    return f"/oauth/consent?transaction={quote(transaction_id, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPage:
    """The login page."""

    requests: PendingRequests
    browser_sessions: BrowserSessions
    provider: IdentityProvider
    resources: Sequence[ProtectedResource]
    """The MCP endpoints, whose URLs a person who just logs in is told."""
    pages: Pages
    origins: Collection[str]
    """Our own origins; a POST from any other is refused."""
    throttle: LoginThrottle | None = None
    """Counts the attempts; None lets everybody try as often as they like."""
    audit: Audit = NO_AUDIT
    attempts: AttemptsAtOnce = field(default_factory=AttemptsAtOnce)

    def routes(self) -> tuple[Route, ...]:
        """Return its routes."""
        return (
            self.pages.route("GET", "/oauth/login", self.get, _SHOW, limit=PAGE_LIMIT),
            self.pages.route("POST", "/oauth/login", self.post, _SUBMIT),
        )

    async def get(self, request: Request) -> Response:
        """Ask who is at the browser, or find out."""
        # 1. Which browser is this? A new one may log in too, but no authorization request can be its own.
        session = await self.browser_sessions.current_or_new(request)

        # 2. Which authorization request is it for, if any?
        parameters = query(request)
        transaction = await self._transaction(session, parameters.get("transaction"))
        if transaction is not None:
            check_undenied(transaction)
        switch_account = "switch" in parameters

        # 3. Somebody who is logged in already goes on, unless they ask to be somebody else.
        if session.subject is not None and not switch_account:
            return self._go_on(session, transaction)

        # 4. Nobody can log in before the first account exists.
        if await self.provider.awaits_setup():
            return self._with_cookie(self.pages.render("setup_needed.html", retry=_path(transaction)), session)

        # 5. Some providers know without asking, some ask elsewhere.
        identity = await self.provider.authenticate(request, {})
        if identity is not None:
            renewed = await self._log_in(request, session, identity)
            if renewed is None:
                return self.pages.redirect(_path(transaction))  # another tab was quicker; this one finds out
            return self._with_cookie(self._go_on(renewed, transaction), renewed)
        response = await self.provider.challenge(
            request,
            browser_id=session.record.browser_id,
            return_to=_path(transaction),
            switch_account=switch_account,
        )

        # 6. The others ask here.
        return self._with_cookie(response or self._form(session, transaction), session)

    async def post(self, request: Request) -> Response:
        """Log in."""
        # 1. The form comes from our own page.
        check_origin(request, origins=self.origins)
        submitted = await read_form(request)
        transaction_id = query(request).get("transaction")
        session = await self.browser_sessions.current(request)
        if session is None:
            return without_session(request, self.browser_sessions, self.pages, path=login_path(transaction_id))
        check_csrf_token(
            session,
            submitted.get("csrf_token"),
            purpose=_PURPOSE,
            transaction_id=transaction_id,
            retry=Link(login_path(transaction_id), "Go on"),
        )

        # 2. The authorization request, if any, is this browser's own.
        transaction = await self._transaction(session, transaction_id)

        # 3. Who is it? Every guess at a password passes here and nowhere else, and is counted before it is looked at.
        fields = self.provider.login_fields
        credentials = {asked.name: submitted.get(asked.name, "") for asked in fields}
        account = account_of(credentials, fields)
        with self.attempts.one_of(session.record.browser_id):
            await self._admit(request, account)
            # Of a browser that has gone, no password needs to be checked.
            checking = self.provider.authenticate(request, credentials)
            identity = await run_while_connected(checking, request.receive)
        if identity is None:
            await self.audit.record(request, AuditEvent.LOGIN, Outcome.REFUSED, reason=Reason.LOGIN_FAILED)
            typed = {asked.name: credentials[asked.name] for asked in fields if not asked.secret}
            return self._form(session, transaction, typed=typed, failed=True)

        # 4. Log in under a new session, and on to consent; or, without a request, to this page by itself, so that
        #    loading it again sends no password again.
        renewed = await self._log_in(request, session, identity)
        if renewed is None:
            return without_session(request, self.browser_sessions, self.pages, path=login_path(transaction_id))
        location = login_path() if transaction is None else consent_path(transaction.transaction_id)
        response = self._with_cookie(self.pages.redirect(location), renewed)
        if self.throttle is not None:
            self.throttle.remember(response, account)
        return response

    async def _transaction(self, session: OpenSession, transaction_id: str | None) -> AuthorizationTransaction | None:
        return None if transaction_id is None else await self.requests.find(session, transaction_id)

    async def _admit(self, request: Request, account: str) -> None:
        """Count an attempt to log in.

        Raises:
            TooManyRequests: it is one too many.
        """
        if self.throttle is None:
            return
        try:
            await self.throttle.admit(request, account)
        except TooManyRequests as refusal:
            # Behind, and in a bounded queue: an attacker can cause as many of these as it likes.
            self.audit.note(request, AuditEvent.LOGIN, Outcome.REFUSED, reason=refusal.reason)
            raise

    async def _log_in(self, request: Request, session: OpenSession, identity: Identity) -> OpenSession | None:
        await self.audit.record(request, AuditEvent.LOGIN, subject=identity.subject)
        return await self.browser_sessions.renew(session, subject=identity.subject, display_name=identity.display_name)

    def _go_on(self, session: OpenSession, transaction: AuthorizationTransaction | None) -> Response:
        if transaction is not None:
            return self.pages.redirect(consent_path(transaction.transaction_id))
        return self.pages.render(
            "logged_in.html",
            user=session.record.display_name or session.subject,
            mcp_urls=[resource.identifier for resource in self.resources],
            switch_path=login_path(switch_account=True) if self.provider.can_switch_account else None,
        )

    def _form(
        self,
        session: OpenSession,
        transaction: AuthorizationTransaction | None,
        *,
        typed: dict[str, str] | None = None,
        failed: bool = False,
    ) -> Response:
        context: dict[str, Any] = {
            "action": _path(transaction),
            "csrf_token": csrf_token(
                session, purpose=_PURPOSE, transaction_id=transaction.transaction_id if transaction else None
            ),
            "fields": self.provider.login_fields,
            "typed": typed or {},
            "failed": failed,
            "destination": display_host(transaction.redirect_uri) if transaction else None,
            "is_loopback": transaction is not None and is_loopback(transaction.redirect_uri),
        }
        if not failed:
            return self.pages.render("login.html", **context)
        # 403 is what RFC 9110 section 15.5.4 has for credentials that do not suffice; 401 would have to carry a
        # WWW-Authenticate challenge, and browsers answer those with a dialogue of their own.
        return self.pages.refuse("login.html", status=403, reason=Reason.LOGIN_FAILED, **context)

    def _with_cookie(self, response: Response, session: OpenSession) -> Response:
        self.browser_sessions.attach(response, session)
        return response


def _path(transaction: AuthorizationTransaction | None) -> str:
    return login_path(transaction.transaction_id if transaction else None)


_PARAMETERS = [
    in_query("transaction", "The authorization request that this login is a step of; absent, it only logs in."),
    in_query("switch", "Ask also somebody who is logged in."),
]
_SHOW = Operation(
    "show_login",
    "Ask who is at the browser",
    tag="Pages",
    parameters=_PARAMETERS,
    responses={
        200: page("The form; or who is logged in, when there is nothing to go on to."),
        303: moved("On to consent, or to where the login provider asks."),
        400: page("The authorization request is over, or is another browser's."),
        409: page("The authorization request has been answered."),
        **PAGE_FLOODED,
        **PAGE_UNAVAILABLE,
    },
)
_SUBMIT = Operation(
    "submit_login",
    "Log in",
    tag="Pages",
    parameters=_PARAMETERS,
    # Local accounts; other providers have fields of their own, or none.
    request_body=page_form({"username": TEXT, "password": {"type": "string", "format": "password"}}),
    responses={
        303: moved("Logged in: on to consent, or to this page. Or the form again."),
        **PAGE_FORM_REFUSALS,
        **PAGE_FLOODED,
    },
)
