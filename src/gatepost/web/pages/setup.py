"""GET and POST /oauth/setup?token=…: the first account, through the link that the terminal shows.

The link works until any account exists, however that came about; `UserStore.create_first_user` decides in one step, so
of two people with the same link one becomes the owner and the other is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.local_accounts import new_user
from gatepost.identity.password_workers import password_workers
from gatepost.identity.passwords import PasswordRefused
from gatepost.identity.roles import ADMIN
from gatepost.identity.usernames import UsernameRefused
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.users import User, UserStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, looks_like
from gatepost.web.pages.browser_session import BrowserSessions, OpenSession
from gatepost.web.pages.csrf import check_csrf_token, check_origin, csrf_token, read_form, without_session
from gatepost.web.pages.pending_request import ACCOUNT, login_path, query
from gatepost.web.pages.rendering import PageLink, PageRefusal, Pages
from gatepost.web.site import api_description as api
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, Words, words_of

_PURPOSE = "setup"
_DONE = "/oauth/setup"


def setup_path(token: str) -> str:
    """Return the path of the set-up page that this link's token opens."""
    return f"/oauth/setup?token={quote(token, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPage:
    """The set-up page; only for servers with local accounts."""

    users: UserStore
    browser_sessions: BrowserSessions
    """The browser that makes the account is logged in with it."""
    resources: Sequence[ProtectedResource]
    """The MCP endpoints, whose URLs the owner is told."""
    pages: Pages
    origin: str
    """Our own; a form from any other is refused."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    audit: Audit = NO_AUDIT

    def routes(self) -> tuple[Route, ...]:
        return self.pages.routes(
            Route("GET", "/oauth/setup", self.get, _SHOW, limit=PAGE_LIMIT),
            Route("POST", "/oauth/setup", self.post, _SUBMIT, limit=PAGE_LIMIT),
        )

    async def get(self, request: Request) -> Response:
        # 1. The link is the valid one, or this is who has used it: the page that follows can be loaded again.
        token = await self._valid_token(request)
        session = await self.browser_sessions.current(request)
        if token is None:
            if session is not None and session.password_only is not None:
                return self.pages.redirect(login_path())
            if session is None or session.user is None:
                raise _link_over()
            return self.pages.render(
                request,
                "setup_done.html",
                user=session.user.name,
                account=ACCOUNT,
                mcp_urls=[resource.identifier for resource in self.resources],
            )

        # 2. Ask for name and password.
        session = session or await self.browser_sessions.current_or_new(request)
        return self.browser_sessions.attach(self._form(request, session, token), session)

    async def post(self, request: Request) -> Response:
        # 1. The form comes from our own page.
        check_origin(request, origin=self.origin)
        submitted = await read_form(request)
        token = await self._valid_token(request)
        session = await self.browser_sessions.current(request)
        if session is None:
            path = _DONE if token is None else setup_path(token)
            return without_session(request, self.browser_sessions, self.pages, path=path)

        # 2. The link is still the valid one.
        if token is None:
            raise _link_over()
        check_csrf_token(
            session,
            submitted.get("csrf_token"),
            purpose=_PURPOSE,
            transaction_id=None,
            retry=PageLink(setup_path(token), Phrase("Try again")),
        )

        # 3. Name and password can be ones.
        username, password = submitted.get("username", ""), submitted.get("password", "")
        if password != submitted.get("repeat", ""):
            return self._form(
                request, session, token, typed=username, field="repeat", problem=Phrase("The two passwords differ.")
            )
        create = partial(new_user, username, password, now=self.now(), random_bytes=self.random_bytes)
        try:
            user: User = await run_while_connected(password_workers().run(create), request.receive)
        except (UsernameRefused, PasswordRefused) as refused:
            field = "username" if isinstance(refused, UsernameRefused) else "password"
            return self._form(request, session, token, typed=username, field=field, problem=words_of(refused))

        # 4. Be the first, or learn that somebody else was.
        owner = replace(user, roles=(ADMIN,))  # who could run the commands of the terminal as well
        if not await self.users.create_first_user(fingerprint(token), owner):
            raise _link_over()
        await self.audit.record(request, AuditEvent.SET_UP, subject=user.subject)

        # 5. Log in under a new session. The redirect lets the next page be loaded again without creating anything.
        renewed = await self.browser_sessions.renew(session, owner)
        response = self.pages.redirect(_DONE)
        return response if renewed is None else self.browser_sessions.attach(response, renewed)

    async def _valid_token(self, request: Request) -> str | None:
        """Return the token of the page's URL if it is the valid link's, else None."""
        token = query(request).get("token")
        if token is None or not looks_like(SecretKind.SETUP_LINK, token):
            return None
        return token if await self.users.setup_is_open(fingerprint(token)) else None

    def _form(
        self,
        request: Request,
        session: OpenSession,
        token: str,
        *,
        typed: str = "",
        field: str | None = None,
        problem: Words | None = None,
    ) -> Response:
        return self.pages.render(
            request,
            "setup.html",
            # RFC 9110 section 15.5.21: understood and well formed, but not to be carried out as it is.
            status=200 if problem is None else 422,
            action=setup_path(token),
            csrf_token=csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            username=typed,
            field=field,
            problem=problem,
        )


def _link_over() -> PageRefusal:
    return PageRefusal(
        Reason.SETUP_LINK_INVALID,
        title=Phrase("This set-up link does not work any more"),
        message=Phrase(
            "The first account exists already, or the server has been started again and shows a newer link in its "
            "terminal. If you have an account, you can log in."
        ),
        link=PageLink(login_path(), Phrase("Log in")),
    )


_PASSWORD = {"type": "string", "format": "password"}
_PARAMETERS = [api.in_query("token", "What the terminal shows, until there is an account.")]
_SHOW = api.Operation(
    "show_setup",
    "Ask the first person for a name and a password",
    tag="Pages",
    parameters=_PARAMETERS,
    responses={
        200: api.page("The form; or, to who has sent it, what to do next."),
        400: api.page("The link does not work any more."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_SUBMIT = api.Operation(
    "submit_setup",
    "Make the first account",
    tag="Pages",
    parameters=_PARAMETERS,
    request_body=api.page_form({"username": api.TEXT, "password": _PASSWORD, "repeat": _PASSWORD}),
    responses={
        303: api.moved("The account is there and logged in; or the form again."),
        **api.PAGE_FORM_REFUSALS,
        422: api.page("The form again: the name or the password cannot be one, or the two passwords differ."),
        **api.PAGE_FLOODED,
    },
)
