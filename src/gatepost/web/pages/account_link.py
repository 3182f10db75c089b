"""GET and POST /oauth/account/link?token=…: an invitation, or a link that sets the password of an account.

`gatepost users invite` and `gatepost users reset` print them. A link that is unknown, used, replaced or over is one
answer. Who was invited is logged in; who set a password is not, since a login may ask for more than that.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.account_links import link_path
from gatepost.identity.local_accounts import new_user
from gatepost.identity.password_workers import password_workers
from gatepost.identity.passwords import PasswordRefused, hash_password
from gatepost.identity.usernames import UsernameRefused
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.account_links import AccountLink, AccountLinkStore, InvitationOutcome
from gatepost.stores.contract.users import User
from gatepost.tokens.opaque import SecretKind, fingerprint, looks_like
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import check_csrf_token, check_origin, csrf_token, read_form, without_session
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.pending_request import ACCOUNT, login_path, query
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.web.site import api_description as api
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, Words, words_of

_PURPOSE: Final = "account-link"
_PATH: Final = f"{ACCOUNT}/link"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLinkPage:
    """The page; only for servers with local accounts."""

    completion: LoginCompletion
    """Sessions, pages and audit trail are the login's."""
    links: AccountLinkStore

    def routes(self) -> tuple[Route, ...]:
        return self.completion.pages.routes(
            Route("GET", _PATH, self.get, _SHOW, limit=PAGE_LIMIT),
            Route("POST", _PATH, self.post, _SUBMIT, limit=PAGE_LIMIT),
        )

    async def get(self, request: Request) -> Response:
        token, link = await self._link(request)
        session = await self.completion.browser_sessions.current_or_new(request)
        return self.completion.browser_sessions.attach(self._form(request, session, token, link), session)

    async def post(self, request: Request) -> Response:
        # 1. The form comes from our own page, and the link counts still.
        completion = self.completion
        check_origin(request, origin=completion.origin)
        submitted = await read_form(request)
        token, link = await self._link(request)
        session = await completion.browser_sessions.current(request)
        if session is None:
            return without_session(request, completion.browser_sessions, completion.pages, path=link_path(token))
        check_csrf_token(
            session,
            submitted.get("csrf_token"),
            purpose=_PURPOSE,
            transaction_id=None,
            retry=PageLink(link_path(token), Phrase("Try again")),
        )

        # 2. Name and password can be ones.
        username, password = link.username or submitted.get("username", ""), submitted.get("password", "")
        if password != submitted.get("repeat", ""):
            return self._form(
                request, session, token, link, username, field="repeat", problem=Phrase("The two passwords differ.")
            )
        make = partial(new_user, username, password, now=completion.now(), random_bytes=completion.random_bytes)
        hash_it = partial(hash_password, password, username=username)
        try:
            if link.subject is None:
                user = await run_while_connected(password_workers().run(make), request.receive)
                return await self._accept(request, session, token, link, user)
            password_hash = await run_while_connected(password_workers().run(hash_it), request.receive)
        except (UsernameRefused, PasswordRefused) as refused:
            field = "username" if isinstance(refused, UsernameRefused) else "password"
            return self._form(request, session, token, link, username, field=field, problem=words_of(refused))

        # 3. Set the password, or learn that the link is over.
        subject = await self.links.reset_password(fingerprint(token), password_hash, now=completion.now())
        if subject is None:
            raise _link_over()
        await completion.audit.record(request, AuditEvent.PASSWORD_CHANGED, subject=subject)
        return completion.pages.render(
            request,
            "done.html",
            title=Phrase("Your password is set"),
            message=Phrase("You are logged out in every browser. Apps that you connected stay connected."),
            link=PageLink(login_path(), Phrase("Log in")),
        )

    async def _accept(
        self, request: Request, session: OpenSession, token: str, link: AccountLink, user: User
    ) -> Response:
        """Add the invited person and log them in under a new session."""
        completion, username = self.completion, user.username or ""
        outcome = await self.links.accept_invitation(fingerprint(token), user, now=completion.now())
        if outcome is InvitationOutcome.LINK_OVER:
            raise _link_over()
        if outcome is InvitationOutcome.USERNAME_TAKEN:
            return self._form(
                request, session, token, link, username, field="username", problem=Phrase("This username is taken.")
            )
        await completion.audit.record(request, AuditEvent.USER_ADDED, subject=user.subject)
        renewed = await completion.browser_sessions.renew(session, user)
        response = completion.pages.redirect(ACCOUNT)
        return response if renewed is None else completion.browser_sessions.attach(response, renewed)

    async def _link(self, request: Request) -> tuple[str, AccountLink]:
        """Return the token of the page's URL and its link, which counts; or refuse."""
        token = query(request).get("token", "")
        if looks_like(SecretKind.ACCOUNT_LINK, token):
            link = await self.links.find_link(fingerprint(token), now=self.completion.now())
            if link is not None:
                return token, link
        raise _link_over()

    def _form(
        self,
        request: Request,
        session: OpenSession,
        token: str,
        link: AccountLink,
        username: str = "",
        *,
        field: str | None = None,
        problem: Words | None = None,
    ) -> Response:
        return self.completion.pages.render(
            request,
            "account_link.html",
            status=200 if problem is None else 422,
            action=link_path(token),
            csrf_token=csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            is_invitation=link.subject is None,
            given_name=link.username,
            username=username,
            field=field,
            problem=problem,
        )


def _link_over() -> PageRefusal:
    return PageRefusal(
        Reason.ACCOUNT_LINK_INVALID,
        title=Phrase("This link does not work any more"),
        message=Phrase(
            "It was used, it has expired, or a newer one was made. Ask the people who run this server for another."
        ),
        link=PageLink(login_path(), Phrase("Log in")),
    )


_SECRET = {"type": "string", "format": "password"}
_PARAMETERS = [api.in_query("token", "What the operator's link holds.")]
_SHOW = api.Operation(
    "show_account_link",
    "Ask an invited person for a name and a password, or for a new password",
    tag="Pages",
    parameters=_PARAMETERS,
    responses={
        200: api.page("The form."),
        400: api.page("The link does not work any more."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_SUBMIT = api.Operation(
    "submit_account_link",
    "Make the account, or set its password",
    tag="Pages",
    parameters=_PARAMETERS,
    request_body=api.page_form({"username": api.TEXT, "password": _SECRET, "repeat": _SECRET}),
    responses={
        200: api.page("The password is set."),
        303: api.moved("The account is there and logged in; or the form again."),
        **api.PAGE_FORM_REFUSALS,
        422: api.page("The form again: the name or the password cannot be one, or the two passwords differ."),
        **api.PAGE_FLOODED,
    },
)
