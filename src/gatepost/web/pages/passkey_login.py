"""POST /oauth/passkey/challenge and /oauth/passkey: logging in by a passkey, without a user name.

The login page's script asks for a challenge, has the browser sign it, and sends the answer as a form, with what the
login is for in the URL as at `/oauth/login`.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.passkeys import request_options
from gatepost.late_dataclass import dataclass
from gatepost.web.pages.csrf import check_csrf_token, check_origin, read_form, without_session
from gatepost.web.pages.login import PASSKEY, PASSKEY_CHALLENGE, PURPOSE, LoginPage
from gatepost.web.pages.login_completion import BrowserLogin
from gatepost.web.pages.passkey_ceremonies import CHALLENGE, PasskeyCeremonies
from gatepost.web.pages.pending_request import query
from gatepost.web.pages.rendering import PageLink
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyLogin:
    """Logs in whoever has a passkey here."""

    login: LoginPage
    """The page that it belongs to, and that is shown again when nobody is logged in."""
    ceremonies: PasskeyCeremonies

    def routes(self) -> tuple[Route, ...]:
        return self.login.completion.pages.routes(
            Route("POST", PASSKEY_CHALLENGE, self.challenge, _CHALLENGE, limit=PAGE_LIMIT),
            Route("POST", PASSKEY, self.post, _SUBMIT, limit=PAGE_LIMIT),
        )

    async def challenge(self, request: Request) -> Response:
        completion = self.login.completion
        check_origin(request, origin=completion.origin)
        session = await completion.browser_sessions.current(request)
        if session is None:
            return without_session(request, completion.browser_sessions, completion.pages, path="/oauth/login")
        begun = BrowserLogin(completion, request, session, PASSKEY)
        party = self.ceremonies.party
        return await self.ceremonies.begin(begun, lambda challenge: request_options(party, challenge=challenge))

    async def post(self, request: Request) -> Response:
        completion, page = self.login.completion, self.login
        # 1. The form comes from our own page.
        check_origin(request, origin=completion.origin)
        submitted = await read_form(request)
        purpose = completion.purpose_of(query(request))
        session = await completion.browser_sessions.current(request)
        if session is None:
            return without_session(request, completion.browser_sessions, completion.pages, path=purpose.page)
        check_csrf_token(
            session,
            submitted.get("csrf_token"),
            purpose=PURPOSE,
            transaction_id=purpose.transaction_id,
            retry=PageLink(purpose.page, Phrase("Go on")),
        )

        # 2. The authorization request, if any, is this browser's own, and so is the challenge.
        transaction = None
        if purpose.transaction_id is not None:
            transaction = await page.requests.find(session, purpose.transaction_id)
        begun = BrowserLogin(completion, request, session, PASSKEY, purpose)
        kept = await begun.take(submitted.get("state"))
        if kept is None:
            # Whoever is late, or clicks twice, begins again.
            return completion.pages.redirect(purpose.page)

        # 3. Whose passkey signed it?
        with begun.refusals():
            proof = await self.ceremonies.prove(request, submitted.get("credential", ""), kept)
        if proof.user is None:
            return page.form(
                request,
                session,
                purpose,
                transaction,
                completion.provider.login_fields,
                problem=Phrase("This passkey does not log anybody in here. Try another one, or your password."),
                reason=proof.reason,
                is_typed=False,
            )

        # 4. Log in under a new session, and on. The authenticator is one factor, its PIN or finger another.
        response = await completion.finish(request, session, proof.user, purpose, has_second_factor=True)
        await self.ceremonies.succeeded(request, proof, response)
        return response


_CHALLENGE = api.Operation(
    "begin_passkey_login",
    "Begin a login by a passkey",
    tag="Pages",
    responses={
        200: CHALLENGE,
        303: api.moved("The session of this browser is over: on to the login."),
        **api.PAGE_FORM_REFUSALS,
        **api.PAGE_FLOODED,
    },
)
_SUBMIT = api.Operation(
    "submit_passkey",
    "Log in by a passkey",
    tag="Pages",
    parameters=[api.in_query("transaction", "The authorization request that this login is a step of.")],
    request_body=api.page_form(
        {"state": api.text("From the challenge."), "credential": api.text("What the browser returned, as JSON.")}
    ),
    responses={
        303: api.moved("Logged in: on to consent, or to the account. Or to the login, where it took too long."),
        **api.PAGE_FORM_REFUSALS,
        409: api.page("The authorization request has been answered."),
        **api.PAGE_FLOODED,
    },
)
