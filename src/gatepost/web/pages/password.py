"""GET and POST /oauth/account/password: a person with a password here chooses another.

The old one is asked for and counted as a login is, so a browser that was left open opens no account for good; and, of
who has a second step, a code. With the change every login of the account ends, and links that set its password; this
browser gets a new one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.local_accounts import CODE_WRONG
from gatepost.identity.password_workers import password_workers
from gatepost.identity.passwords import PasswordRefused, hash_password
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.users import User
from gatepost.web.pages.account import PASSWORD, has_password
from gatepost.web.pages.account_form import submitted_form
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import csrf_token
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.owner_proof import OwnerProof
from gatepost.web.pages.pending_request import ACCOUNT, login_path
from gatepost.web.pages.rendering import PageLink
from gatepost.web.site import api_description as api
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, Words, words_of

_PURPOSE: Final = "password"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPage:
    """The page that changes a password."""

    completion: LoginCompletion
    """Sessions, people, pages and audit trail are the login's."""
    proof: OwnerProof

    def routes(self) -> tuple[Route, ...]:
        return self.completion.pages.routes(
            Route("GET", PASSWORD, self.get, _SHOW, limit=PAGE_LIMIT),
            Route("POST", PASSWORD, self.post, _SUBMIT),
        )

    async def get(self, request: Request) -> Response:
        session = await self.completion.browser_sessions.current(request)
        if session is None or session.user is None:
            return self.completion.pages.redirect(login_path())
        if not has_password(session.user):
            return self.completion.pages.redirect(ACCOUNT)
        return self._form(request, session)

    async def post(self, request: Request) -> Response:
        # 1. The form is our own page's, and somebody with a password is logged in.
        completion = self.completion
        submitted = await submitted_form(request, completion, purpose=_PURPOSE)
        if isinstance(submitted, Response):
            return submitted
        session, user, form = submitted
        if not has_password(user):
            return completion.pages.redirect(ACCOUNT)

        # 2. The two new ones are one.
        old, new = form.get("old", ""), form.get("password", "")
        if new != form.get("repeat", ""):
            return self._form(request, session, field="repeat", problem=Phrase("The two passwords differ."))

        # 3. The old one is right.
        with self.proof.one_of(session):
            if not await self.proof.has_password(request, user, old, AuditEvent.PASSWORD_CHANGED):
                wrong = Phrase("That is not your password.")
                return self._form(request, session, field="old", problem=wrong, reason=Reason.LOGIN_FAILED)

            # 4. The new one can be one.
            hashed = password_workers().run(partial(hash_password, new, username=user.username or ""))
            try:
                password_hash = await run_while_connected(hashed, request.receive)
            except PasswordRefused as refused:
                response = self._form(request, session, field="password", problem=words_of(refused))
                await self.proof.succeeded(request, user, response)
                return response

            # 5. Who has a second step has a code that counts, which is looked at last, so that none is used in vain.
            return await self._change(request, session, user, password_hash, form.get("code", ""))

    async def _change(
        self, request: Request, session: OpenSession, user: User, password_hash: str, typed: str
    ) -> Response:
        """Change the password, and log this browser in again under a new session."""
        completion, code = self.completion, None if user.second_step is None else typed
        if code is not None and not await self.proof.has_code(request, user, code, AuditEvent.PASSWORD_CHANGED):
            reason = Reason.SECOND_STEP_FAILED
            return self._form(request, session, field="code", problem=CODE_WRONG, reason=reason)
        if not await completion.users.change_password(user.username or "", password_hash, of=user):
            # It was changed in the meantime, or a second step set up, which has ended this session too.
            return completion.pages.redirect(login_path())
        await completion.audit.record(request, AuditEvent.PASSWORD_CHANGED, subject=user.subject)
        changed = replace(user, password_hash=password_hash)
        renewed = completion.browser_sessions.new(
            session.record.browser_id, changed, has_second_factor=code is not None or session.record.has_second_factor
        )
        page = completion.pages.render(
            request,
            "done.html",
            title=Phrase("Your password is changed"),
            message=Phrase("You are logged out everywhere else. Apps that you connected stay connected."),
            link=PageLink(ACCOUNT, Phrase("Your account")),
        )
        await self.proof.succeeded(request, user, page, code=code)
        if code is not None:
            self.proof.knows(page, changed)
        return completion.browser_sessions.attach(page, await completion.browser_sessions.start(renewed))

    def _form(
        self,
        request: Request,
        session: OpenSession,
        *,
        field: str | None = None,
        problem: Words | None = None,
        reason: Reason | None = None,
    ) -> Response:
        pages = self.completion.pages
        context: dict[str, Any] = {
            "action": PASSWORD,
            "back": ACCOUNT,
            "csrf_token": csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            "username": "" if session.user is None else session.user.username or "",
            "field": field,
            "problem": problem,
            "has_second_step": session.user is not None and session.user.second_step is not None,
        }
        if reason is not None:
            return pages.refuse(request, "password.html", status=403, reason=reason, **context)
        return pages.render(request, "password.html", status=200 if problem is None else 422, **context)


_SECRET = {"type": "string", "format": "password"}
_SHOW = api.Operation(
    "show_password",
    "Ask for another password",
    tag="Pages",
    responses={
        200: api.page("The form."),
        303: api.moved("On to the login, or back to the account, which has no password here."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_SUBMIT = api.Operation(
    "change_password",
    "Change the password, and end every other login of the account",
    tag="Pages",
    request_body=api.page_form({"old": _SECRET, "password": _SECRET, "repeat": _SECRET, "code": api.TEXT}),
    responses={
        200: api.page("The password is changed."),
        303: api.moved("On to the login, or back to the account, which has no password here."),
        **api.PAGE_FORM_REFUSALS,
        422: api.page("The form again: the password cannot be one, or the two differ."),
        **api.PAGE_FLOODED,
    },
)
