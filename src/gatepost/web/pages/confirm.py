"""GET and POST /oauth/account/confirm?for=…: who is logged in shows again who they are, before what matters.

By the password, with a code where the account has a second step, or by a passkey; they are counted as at a login. Then
the page that asked for it is open for some minutes, in this browser alone; the login ends when it would have ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.local_accounts import CODE_WRONG
from gatepost.identity.passkeys import request_options
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.users import User
from gatepost.web.pages.account import has_password
from gatepost.web.pages.account_form import submitted_form
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import check_origin, csrf_token
from gatepost.web.pages.login_completion import BrowserLogin, LoginCompletion
from gatepost.web.pages.owner_proof import OwnerProof
from gatepost.web.pages.passkey_ceremonies import CHALLENGE, PasskeyCeremonies
from gatepost.web.pages.pending_request import ACCOUNT, login_path, query
from gatepost.web.pages.recent_login import CONFIRM, PLACES, confirm_path, is_recent
from gatepost.web.pages.rendering import Ceremony
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, Words

_PURPOSE: Final = "confirm"
_CHALLENGE: Final = f"{CONFIRM}/challenge"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPage:
    """The page; for people with a password here."""

    completion: LoginCompletion
    """Sessions, pages and audit trail are the login's."""
    proof: OwnerProof
    ceremonies: PasskeyCeremonies | None = None
    """None where browsers have no passkeys."""

    def routes(self) -> tuple[Route, ...]:
        pages = self.completion.pages
        page = pages.routes(
            Route("GET", CONFIRM, self.get, _SHOW, limit=PAGE_LIMIT),
            Route("POST", CONFIRM, self.post, _SUBMIT),
        )
        if self.ceremonies is None:
            return page
        return (*page, *pages.routes(Route("POST", _CHALLENGE, self.challenge, _BEGIN, limit=PAGE_LIMIT)))

    async def get(self, request: Request) -> Response:
        # 1. Somebody is logged in who can show who they are here, and has to.
        pages, destination = self.completion.pages, _destination(request)
        session = await self.completion.browser_sessions.current(request)
        if session is None or session.user is None:
            return pages.redirect(login_path())
        if not has_password(session.user) or is_recent(session, now=self.completion.now()):
            return pages.redirect(destination)

        # 2. Ask.
        return await self._form(request, session, session.user)

    async def challenge(self, request: Request) -> Response:
        completion = self.completion
        check_origin(request, origin=completion.origin)
        session = await completion.browser_sessions.current(request)
        if self.ceremonies is None or session is None or session.user is None:
            return completion.pages.redirect(login_path())
        party, known = self.ceremonies.party, await self._passkeys(session.user)
        begun = BrowserLogin(completion, request, session, CONFIRM)
        return await self.ceremonies.begin(
            begun, lambda challenge: request_options(party, challenge=challenge, allowed=known)
        )

    async def post(self, request: Request) -> Response:
        # 1. The form is our own page's, and somebody with a password is logged in.
        submitted = await submitted_form(request, self.completion, purpose=_PURPOSE)
        if isinstance(submitted, Response):
            return submitted
        session, user, form = submitted
        if not has_password(user):
            return self.completion.pages.redirect(ACCOUNT)

        # 2. By a passkey, or by the password.
        if self.ceremonies is not None and "credential" in form:
            return await self._by_passkey(request, session, user, form, self.ceremonies)
        return await self._by_password(request, session, user, form)

    async def _by_passkey(
        self,
        request: Request,
        session: OpenSession,
        user: User,
        form: Mapping[str, str],
        ceremonies: PasskeyCeremonies,
    ) -> Response:
        begun = BrowserLogin(self.completion, request, session, CONFIRM)
        kept = await begun.take(form.get("state"))
        if kept is None:
            return self.completion.pages.redirect(_here(request))
        with begun.refusals():
            proof = await ceremonies.prove(
                request, form["credential"], kept, event=AuditEvent.IDENTITY_CONFIRMED, subject=user.subject
            )
        if proof.user is None:
            problem = Phrase("That is no passkey of yours. Try another one, or your password.")
            return await self._form(request, session, user, problem=problem, reason=proof.reason)
        response = await self._go_on(request, session, user, has_second_factor=True)
        await ceremonies.succeeded(request, proof, response)
        return response

    async def _by_password(
        self, request: Request, session: OpenSession, user: User, form: Mapping[str, str]
    ) -> Response:
        # A browser left open and a known password are what a second step is there for, so its code is asked for too.
        event, proof = AuditEvent.IDENTITY_CONFIRMED, self.proof
        code = None if user.second_step is None else form.get("code", "")
        with proof.one_of(session):
            if not await proof.has_password(request, user, form.get("password", ""), event):
                problem = Phrase("That is not your password.")
                return await self._form(request, session, user, problem=problem, field="password")
            if code is not None and not await proof.has_code(request, user, code, event):
                reason = Reason.SECOND_STEP_FAILED
                return await self._form(request, session, user, problem=CODE_WRONG, reason=reason, field="code")
            response = await self._go_on(request, session, user, has_second_factor=code is not None)
        await proof.succeeded(request, user, response, code=code)
        return response

    async def _go_on(self, request: Request, session: OpenSession, user: User, *, has_second_factor: bool) -> Response:
        """Keep that it was shown, and return the redirect to what asked for it."""
        completion = self.completion
        await completion.audit.record(request, AuditEvent.IDENTITY_CONFIRMED, subject=user.subject)
        confirmed = await completion.browser_sessions.confirm(session, has_second_factor=has_second_factor)
        response = completion.pages.redirect(_destination(request))
        return response if confirmed is None else completion.browser_sessions.attach(response, confirmed)

    async def _passkeys(self, user: User) -> list[Passkey]:
        """Return the person's passkeys that work here."""
        ceremonies = self.ceremonies
        if ceremonies is None:
            return []
        passkeys = await ceremonies.passkeys.list_passkeys(user.subject)
        return [passkey for passkey in passkeys if passkey.rp_id == ceremonies.party.rp_id]

    async def _form(
        self,
        request: Request,
        session: OpenSession,
        user: User,
        *,
        problem: Words | None = None,
        reason: Reason = Reason.LOGIN_FAILED,
        field: str | None = None,
    ) -> Response:
        action = _here(request)
        has_passkeys = bool(await self._passkeys(user))
        context: dict[str, Any] = {
            "action": action,
            "back": ACCOUNT,
            "csrf_token": csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            "username": user.username or "",
            "problem": problem,
            "field": field,
            "asks_for_code": user.second_step is not None,
            "passkeys": Ceremony("get", _CHALLENGE, action) if has_passkeys else None,
        }
        pages = self.completion.pages
        if problem is None:
            return pages.render(request, "confirm.html", **context)
        return pages.refuse(request, "confirm.html", status=403, reason=reason, **context)


def _here(request: Request) -> str:
    """Return the page's own path, with nothing in it but a name of ours."""
    place = query(request).get("for", "")
    return confirm_path(place) if place in PLACES else CONFIRM


def _destination(request: Request) -> str:
    """Return where this leads: one of our own places, whatever the URL says."""
    return PLACES.get(query(request).get("for", ""), ACCOUNT)


_PARAMETERS = [api.in_query("for", "The name of the page that asks for it.")]
_SHOW = api.Operation(
    "show_confirmation",
    "Ask somebody who is logged in to show again who they are",
    tag="Pages",
    parameters=_PARAMETERS,
    responses={
        200: api.page("The form."),
        400: api.page("The URL is malformed."),
        303: api.moved("On to the login; or to what asked for it, where the login is recent, or has no password here."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_BEGIN = api.Operation(
    "begin_confirmation_by_passkey",
    "Begin to show by a passkey who is there",
    tag="Pages",
    responses={200: CHALLENGE, 303: api.moved("On to the login."), **api.PAGE_FORM_REFUSALS, **api.PAGE_FLOODED},
)
_SUBMIT = api.Operation(
    "confirm_identity",
    "Show by the password or a passkey who is there",
    tag="Pages",
    parameters=_PARAMETERS,
    request_body=api.page_form(
        {
            "password": {"type": "string", "format": "password"},
            "code": api.text("Of the authenticator app, where there is one, or a recovery code."),
            "state": api.text("In place of these, from the challenge."),
            "credential": api.text("What the browser returned, as JSON."),
        }
    ),
    responses={
        303: api.moved("On to what asked for it; or to the form again, or the login."),
        **api.PAGE_FORM_REFUSALS,
        **api.PAGE_FLOODED,
    },
)
