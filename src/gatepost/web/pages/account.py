"""/oauth/account: what a person has allowed and where they are logged in, and taking either back; /oauth/logout.

Whose things these are is said by the session alone. A form names a grant or a session, and what is not the person's own
is answered like what there is not: by the page as it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.roles import ADMIN as ADMIN_ROLE
from gatepost.identity.roles import Roles
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.oauth.redirect_uris import display_host, halves_of_host, is_loopback, is_web
from gatepost.oauth.registration import claimed_name
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.approvals import ApprovalStore, ConnectedApp
from gatepost.stores.contract.browser_sessions import BrowserSession
from gatepost.stores.contract.users import LOCAL, User
from gatepost.web.pages.account_form import submitted_form
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import csrf_token
from gatepost.web.pages.link_login import LinkLoginPage
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.pending_request import ACCOUNT, ADMIN, SECOND_STEP, login_path
from gatepost.web.pages.recent_login import PASSKEYS
from gatepost.web.pages.rendering import PageLink
from gatepost.web.pages.times import ago, day
from gatepost.web.pages.upstream_access import UpstreamAccess
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase

PURPOSE: Final = "account"
PASSWORD: Final = f"{ACCOUNT}/password"
LOGOUT: Final = "/oauth/logout"
_MOST: Final = 200
"""Apps and browsers on one page; more are no use to a person, who can still end all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """The account page."""

    completion: LoginCompletion
    """Sessions, provider, pages and audit trail are the login's."""
    approvals: ApprovalStore
    resources: Sequence[ProtectedResource]
    """The MCP endpoints, with the words for their scopes."""
    logins: LinkLoginPage
    """What shows the person's logins, and unlinks them."""
    upstream: UpstreamAccess
    """What shows where tools act as the person, and ends it."""
    on_revocation: Callable[[], None]
    """Called as soon as a grant is revoked, so that no cache in this process answers for it."""
    has_passkeys: bool = False
    """Whether `PasskeysPage` is there, too."""
    roles: Roles | None = None
    """Who is led to the admin pages; None where there are none."""

    def routes(self) -> tuple[Route, ...]:
        return self.completion.pages.routes(
            Route("GET", ACCOUNT, self.get, _SHOW, limit=PAGE_LIMIT),
            Route("POST", f"{ACCOUNT}/apps", self.disconnect, _DISCONNECT),
            Route("POST", f"{ACCOUNT}/sessions", self.end_sessions, _END_SESSIONS),
            Route("POST", LOGOUT, self.log_out, _LOG_OUT),
        )

    async def get(self, request: Request) -> Response:
        # 1. Somebody is logged in.
        completion = self.completion
        session = await completion.browser_sessions.current(request)
        if session is None or session.user is None:
            return completion.pages.redirect(login_path())

        # 2. Show what is theirs.
        user, now = session.user, completion.now()
        came_by = session.record.issuer or user.issuer
        shown_logins = await self.logins.shown_on_account(session)
        sessions = await completion.browser_sessions.sessions.list_sessions(user.subject, now=now, limit=_MOST)
        return completion.pages.render(
            request,
            "account.html",
            csrf_token=csrf_token(session, purpose=PURPOSE, transaction_id=None),
            user=user.name,
            issuer=came_by,
            is_local=came_by == LOCAL,
            password_path=PASSWORD if has_password(user) and completion.offers(LOCAL) else None,
            second_step_path=SECOND_STEP if has_password(user) and completion.offers(LOCAL) else None,
            has_second_step=user.second_step is not None,
            passkeys_path=PASSKEYS if self.has_passkeys and has_password(user) else None,
            admin_path=ADMIN if self.roles is not None and ADMIN_ROLE in self.roles.of(user) else None,
            switch_path=login_path(switch_account=True) if completion.provider.can_switch_account else None,
            apps=[self._app(app) for app in await self.approvals.list_apps(user.subject, now=now, limit=_MOST)],
            sessions=[_row(listed, own=session, now=now) for listed in sessions],
            mcp_urls=[resource.identifier for resource in self.resources],
            **shown_logins,
            **await self.upstream.shown_on_account(session),
        )

    async def disconnect(self, request: Request) -> Response:
        # 1. The form is our own page's, and somebody is logged in.
        submitted = await submitted_form(request, self.completion, purpose=PURPOSE)
        if isinstance(submitted, Response):
            return submitted
        _, user, form = submitted

        # 2. Take back one grant, or all.
        named = form.get("grant", "")
        ended = await self.approvals.take_back(
            user.subject,
            grant_id=None if named == "all" else named,
            reason=Reason.USER_REVOKED.value,
            now=self.completion.now(),
        )
        self.on_revocation()
        for grant in ended:
            await self.completion.audit.record(
                request,
                AuditEvent.REVOCATION,
                reason=Reason.USER_REVOKED,
                subject=user.subject,
                client_id=grant.client_id,
                grant_id=grant.grant_id,
            )
        return self.completion.pages.redirect(ACCOUNT)

    async def end_sessions(self, request: Request) -> Response:
        # 1. The form is our own page's, and somebody is logged in.
        submitted = await submitted_form(request, self.completion, purpose=PURPOSE)
        if isinstance(submitted, Response):
            return submitted
        session, user, form = submitted

        # 2. End one session, or all but this one.
        named = form.get("session", "")
        sessions, own = self.completion.browser_sessions.sessions, session.record.session_fingerprint
        if named == "others":
            ended = await sessions.end_sessions(user.subject, but=own)
        else:
            ended = await sessions.end_sessions(user.subject, only=_fingerprint(named))
        if ended:
            await self.completion.audit.record(request, AuditEvent.SESSIONS_ENDED, subject=user.subject)
        return self.completion.pages.redirect(ACCOUNT)

    async def log_out(self, request: Request) -> Response:
        # 1. The form is our own page's. Who has no session any more, as at a second click, is logged out already.
        completion = self.completion
        browser_sessions = completion.browser_sessions
        submitted = None
        if await browser_sessions.current(request) is not None:
            submitted = await submitted_form(request, completion, purpose=PURPOSE, at_login=True)

        # 2. End the session, here and in the browser.
        if isinstance(submitted, tuple):
            session, user, _ = submitted
            await browser_sessions.sessions.end_session(session.record.session_fingerprint)
            await completion.audit.record(request, AuditEvent.LOGOUT, subject=user.subject)
        response = completion.pages.render(
            request,
            "done.html",
            title=Phrase("You are logged out"),
            message=Phrase("Apps that you connected stay connected."),
            link=PageLink(login_path(), Phrase("Log in again")),
        )
        browser_sessions.forget(response)
        return response

    def _app(self, app: ConnectedApp) -> dict[str, Any]:
        """Return what the page says of an app: as on the consent page, where it redirects before what it is called."""
        grant = app.grant
        resource = next((known for known in self.resources if known.identifier == grant.resource), None)
        words = {} if resource is None else resource.scopes
        redirects = grant.redirect_uri
        destination = ("", "") if redirects is None else ("", display_host(redirects))
        if redirects is not None and is_web(redirects):
            destination = halves_of_host(destination[1])
        return {
            "grant_id": grant.grant_id,
            "client_name": claimed_name(app.client_name),
            "destination": destination,
            "is_loopback": redirects is not None and is_loopback(redirects),
            "permissions": [(words.get(scope) or scope) for scope in grant.scopes],
            "resource": grant.resource if resource is None else resource.name,
            "allowed": day(grant.created_at),
            "last_used": day(app.last_token_at),
        }


def has_password(user: User) -> bool:
    """Say whether the person has a password of their own here."""
    return user.issuer == LOCAL and user.password_hash is not None and user.username is not None


def _row(listed: BrowserSession, *, own: OpenSession, now: int) -> dict[str, Any]:
    return {
        "id": listed.session_fingerprint.hex(),
        "is_own": listed.session_fingerprint == own.record.session_fingerprint,
        "began": ago(now - listed.created_at),
        "last_used": ago(now - (listed.last_used_at or listed.created_at)),
    }


def _fingerprint(text: str) -> bytes:
    """Return which session a form names; no session has the empty fingerprint."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


_SHOW = api.Operation(
    "show_account",
    "Show a person what they allowed, and where they are logged in",
    tag="Pages",
    responses={
        200: api.page("The account of who is logged in."),
        303: api.moved("On to the login."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_BACK = {303: api.moved("Back to the page, whether or not there was anything to end."), **api.PAGE_FORM_REFUSALS}
_DISCONNECT = api.Operation(
    "disconnect_apps",
    "Revoke what was allowed to an app, or to all",
    tag="Pages",
    request_body=api.page_form({"grant": api.text("Which; or `all`.")}),
    responses=_BACK,
)
_END_SESSIONS = api.Operation(
    "end_sessions",
    "End a login in another browser, or in all others",
    tag="Pages",
    request_body=api.page_form({"session": api.text("Which; or `others`.")}),
    responses=_BACK,
)
_LOG_OUT = api.Operation(
    "log_out",
    "Log out",
    tag="Pages",
    request_body=api.page_form({}),
    responses={200: api.page("Nobody is logged in any more."), **api.PAGE_FORM_REFUSALS},
)
