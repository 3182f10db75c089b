"""/oauth/account/second-step: a person with a password here sets up an authenticator app, or turns it off.

The password is asked for each time, and what is there already is changed with a code as well, so a browser that was
left open takes nothing away. Where the server demands a second step, its set-up is a step of the login by a password,
which was typed a moment ago and is not asked for again. Guesses at either are counted as at the login. What a person is
offered depends on the session alone (`SecondSteps.offered_secret`), so nothing is kept before a code has shown that the
app has it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.local_accounts import CODE_WRONG
from gatepost.identity.one_time_codes import RECOVERY_CODES, key_uri, secret_groups
from gatepost.identity.second_steps import CodeWrong
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.users import User
from gatepost.web.pages.account import LOGOUT, has_password
from gatepost.web.pages.account import PURPOSE as LOGOUT_PURPOSE
from gatepost.web.pages.account_form import submitted_form
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import csrf_token
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.login_purpose import LogIn
from gatepost.web.pages.owner_proof import OwnerProof
from gatepost.web.pages.pending_request import ACCOUNT, SECOND_STEP, login_path, query
from gatepost.web.pages.qr_code import qr_code
from gatepost.web.pages.recent_login import PASSKEYS
from gatepost.web.pages.rendering import PageLink
from gatepost.web.pages.required_second_step import RequiredSecondStep
from gatepost.web.pages.times import day
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, Words

_PURPOSE: Final = "second-step"
_CHANGE: Final = f"{SECOND_STEP}/change"
_OFF: Final = "off"
_CODES: Final = "recovery-codes"


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is wrong with a form, and which of its fields."""

    field: str
    words: Words
    reason: Reason


_PASSWORD_WRONG: Final = _Problem("password", Phrase("That is not your password."), Reason.LOGIN_FAILED)
_OTHER_CODE: Final = _Problem(
    "code",
    Phrase("That is not what the app has to show now. Look whether it has this key, and whether its clock is right."),
    Reason.SECOND_STEP_FAILED,
)
_CODE_WRONG: Final = _Problem("code", CODE_WRONG, Reason.SECOND_STEP_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondStepPage:
    """The page of the second step."""

    completion: LoginCompletion
    """Sessions, people, pages and audit trail are the login's."""
    proof: OwnerProof
    required: RequiredSecondStep
    offers_passkeys: bool = False
    """Whether a passkey can be added here in its place."""

    def routes(self) -> tuple[Route, ...]:
        return self.completion.pages.routes(
            Route("GET", SECOND_STEP, self.get, _SHOW, limit=PAGE_LIMIT),
            Route("POST", SECOND_STEP, self.set_up, _SET_UP, limit=PAGE_LIMIT),
            Route("POST", _CHANGE, self.change, _CHANGE_IT),
        )

    async def get(self, request: Request) -> Response:
        session = await self.completion.browser_sessions.current(request)
        user = None if session is None else session.user or session.password_only
        if session is None or user is None:
            return self.completion.pages.redirect(login_path())
        if not has_password(user):
            return self.completion.pages.redirect(ACCOUNT)
        elsewhere = await self._not_at_login(request, session, user)
        return elsewhere or await self._form(request, session, user)

    async def set_up(self, request: Request) -> Response:
        # 1. The form is our own page's, and somebody is logged in, or has typed their password, who has none yet.
        here = self._purpose(request).at(SECOND_STEP)
        submitted = await self._submitted(request, here)
        if isinstance(submitted, Response):
            return submitted
        session, user, form = submitted

        # 2. It is the person, and the app has the secret.
        event, browser_sessions = AuditEvent.SECOND_STEP_SET_UP, self.completion.browser_sessions
        renewed = browser_sessions.new(session.record.browser_id, user, has_second_factor=True)
        at_login = session.user is None
        secret = self.proof.second_steps.offered_secret(user, session.secret)
        with self.proof.one_of(session):
            if not (at_login or await self.proof.has_password(request, user, form.get("password", ""), event)):
                return await self._form(request, session, user, _PASSWORD_WRONG)
            try:
                # Whoever logged in elsewhere did so without it, and this session's secret has been used up: all end.
                codes = await self.proof.second_steps.set_up(
                    user,
                    secret,
                    form.get("code", ""),
                    session=renewed.record,
                    replaces=session.record.session_fingerprint,
                    no_passkey_at=self.required.host if at_login else None,
                )
            except CodeWrong:
                response = await self._form(request, session, user, _OTHER_CODE)
                if not at_login:
                    await self.proof.succeeded(request, user, response)
                return response
        if codes is None:
            return self.completion.pages.redirect(here)

        # 3. Show the recovery codes, and go on under the new session.
        await self.completion.audit.record(request, event, subject=user.subject)
        response = self._show_codes(request, codes, is_new=True)
        changed = await self.completion.users.find_user_by_subject(user.subject) or user
        if at_login:
            await self.completion.audit.record(request, AuditEvent.LOGIN, subject=user.subject)
        else:
            await self.proof.succeeded(request, user, response)
        self.proof.knows(response, changed)
        return browser_sessions.attach(response, renewed)

    async def _submitted(self, request: Request, here: str) -> tuple[OpenSession, User, dict[str, str]] | Response:
        """Return who sets one up and what they typed, or where to go on who cannot."""
        submitted = await submitted_form(request, self.completion, purpose=_PURPOSE, path=here, at_login=True)
        if isinstance(submitted, Response):
            return submitted
        session, user, _ = submitted
        if not has_password(user) or (session.user is not None and user.second_step is not None):
            return self.completion.pages.redirect(SECOND_STEP)
        return await self._not_at_login(request, session, user) or submitted

    async def change(self, request: Request) -> Response:
        # 1. The form is our own page's, and somebody is logged in who has a second step.
        submitted = await submitted_form(request, self.completion, purpose=_PURPOSE)
        if isinstance(submitted, Response):
            return submitted
        session, user, form = submitted
        if not has_password(user) or user.second_step is None:
            return self.completion.pages.redirect(SECOND_STEP)
        turns_off = form.get("change") == _OFF
        event = AuditEvent.SECOND_STEP_TURNED_OFF if turns_off else AuditEvent.RECOVERY_CODES_MADE
        if turns_off:
            await self.required.check_turning_off(user)

        # 2. It is the person, who has a code that counts.
        code = form.get("code", "")
        with self.proof.one_of(session):
            if not await self.proof.has_password(request, user, form.get("password", ""), event):
                return await self._form(request, session, user, _PASSWORD_WRONG)
            if not await self.proof.has_code(request, user, code, event):
                return await self._form(request, session, user, _CODE_WRONG)

        # 3. Turn it off, or replace the recovery codes.
        if turns_off:
            done = await self.proof.second_steps.store.turn_off(
                user.subject, step_id=user.second_step, keeps_passkey_at=self.required.keeps_passkey_at(user)
            )
            response = self._show_off(request)
        else:
            codes = await self.proof.second_steps.renew_recovery_codes(user)
            done, response = codes is not None, self._show_codes(request, codes or (), is_new=False)
        if not done:
            return self.completion.pages.redirect(SECOND_STEP)
        await self.completion.audit.record(request, event, subject=user.subject)
        await self.proof.succeeded(request, user, response, code=code)
        return await self._renewed(session, replace(user, second_step=None) if turns_off else user, response)

    async def _renewed(self, session: OpenSession, user: User, response: Response) -> Response:
        """Go on under a new session, which is offered another secret."""
        browser_sessions = self.completion.browser_sessions
        has_second_factor = user.second_step is not None or await self.required.has_passkey(user)
        renewed = await browser_sessions.renew(session, user, has_second_factor=has_second_factor)
        return response if renewed is None else browser_sessions.attach(response, renewed)

    def _show_codes(self, request: Request, codes: tuple[str, ...], *, is_new: bool) -> Response:
        back = self._purpose(request).goes_on or ACCOUNT
        return self.completion.pages.render(
            request, "recovery_codes.html", codes=codes, is_new=is_new, action=None, back=back
        )

    def _purpose(self, request: Request) -> LogIn:
        """Return what the login is for of which this is a step, if it is."""
        return self.completion.purpose_of(query(request))

    async def _not_at_login(self, request: Request, session: OpenSession, user: User) -> Response | None:
        """Return where somebody goes on who is not logged in and may not set anything up."""
        if session.user is not None:
            return None
        return await self.required.not_at_login(session, user, self._purpose(request))

    def _show_off(self, request: Request) -> Response:
        return self.completion.pages.render(
            request,
            "done.html",
            title=Phrase("The second step is off"),
            message=Phrase(
                "You log in with your password alone. Remove this server from your authenticator app, and throw the "
                "recovery codes away."
            ),
            link=PageLink(ACCOUNT, Phrase("Your account")),
        )

    async def _form(
        self, request: Request, session: OpenSession, user: User, problem: _Problem | None = None
    ) -> Response:
        context: dict[str, Any] = {
            "csrf_token": csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            "username": user.username or "",
            "back": ACCOUNT,
            "field": None if problem is None else problem.field,
            "problem": None if problem is None else problem.words,
        }
        step = None if user.second_step is None else await self.proof.second_steps.store.find_second_step(user.subject)
        if step is None:
            template = "second_step_setup.html"
            context |= self._offer(user, session, self._purpose(request))
        else:
            template = "second_step.html"
            context |= {
                "action": _CHANGE,
                "can_go": self.required.keeps_passkey_at(user) is None or await self.required.has_passkey(user),
                "since": day(step.created_at),
                "left": await self.proof.second_steps.store.count_recovery_codes(user.subject),
                "most": RECOVERY_CODES,
            }
        pages = self.completion.pages
        if problem is None:
            return pages.render(request, template, **context)
        return pages.refuse(request, template, status=403, reason=problem.reason, **context)

    def _offer(self, user: User, session: OpenSession, purpose: LogIn) -> dict[str, object]:
        secret = self.proof.second_steps.offered_secret(user, session.secret)
        uri = key_uri(secret, account=user.username or "", server_name=self.completion.pages.server_name)
        at_login, logout_token = session.user is None, None
        if at_login:
            logout_token = csrf_token(session, purpose=LOGOUT_PURPOSE, transaction_id=None)
        return {
            "action": purpose.at(SECOND_STEP),
            "uri": uri,
            "qr_code": qr_code(uri),
            "secret": secret_groups(secret),
            "at_login": at_login,
            "passkey_path": purpose.at(PASSKEYS) if at_login and self.offers_passkeys else None,
            "logout_path": LOGOUT,
            "logout_token": logout_token,
        }


_SECRET: Final = {"type": "string", "format": "password"}
_CODE: Final = api.text("Of the authenticator app.")
_PARAMETERS = [
    api.in_query("transaction", "The authorization request of a login of which the set-up is a step."),
    api.in_query("link", "As at the login page."),
    api.in_query("then", "As at the login page."),
]
_SHOW = api.Operation(
    "show_second_step",
    "Offer an authenticator app, or show that there is one",
    tag="Pages",
    parameters=_PARAMETERS,
    responses={
        200: api.page("The form."),
        303: api.moved("On to the login, or back to the account, which has no password here."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_ANSWERS = {
    200: api.page("It is done; recovery codes are shown this once."),
    303: api.moved("On to the login; or to the page as it is, where there was nothing to do."),
    **api.PAGE_FORM_REFUSALS,
    **api.PAGE_FLOODED,
}
_SET_UP = api.Operation(
    "set_up_second_step",
    "Set up an authenticator app, and end every other login of the account",
    tag="Pages",
    parameters=_PARAMETERS,
    request_body=api.page_form({"password": _SECRET, "code": _CODE}),
    responses=_ANSWERS,
)
_CHANGE_IT = api.Operation(
    "change_second_step",
    "Turn the authenticator app off, or replace the recovery codes",
    tag="Pages",
    request_body=api.page_form(
        {
            "password": _SECRET,
            "code": api.text("Of the authenticator app, or a recovery code."),
            "change": api.text("`off` or `recovery-codes`."),
        }
    ),
    responses=_ANSWERS,
)
