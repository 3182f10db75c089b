"""GET and POST /oauth/login: who is at the browser?

With `?transaction=ID` the login is a step of that authorization request and goes on to consent; without, it only logs
in. There is no parameter that says where to go next, so there is nothing to point elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.asking import ask
from gatepost.identity.provider import LoginField, LoginStep
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationTransaction
from gatepost.oauth.redirect_uris import display_host, is_loopback
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.users import LOCAL, User
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import check_csrf_token, check_origin, csrf_token, read_form, without_session
from gatepost.web.pages.login_completion import ANSWERS, BrowserLogin, LoginCompletion
from gatepost.web.pages.login_purpose import LogIn
from gatepost.web.pages.login_throttle import AttemptsAtOnce, LoginThrottle, StepAnswer, account_of
from gatepost.web.pages.pending_request import ACCOUNT, SECOND_STEP, PendingRequests, query
from gatepost.web.pages.rendering import Ceremony, PageLink
from gatepost.web.site import api_description as api
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, Words

PURPOSE: Final = "login"
PASSKEY: Final = "/oauth/passkey"
PASSKEY_CHALLENGE: Final = f"{PASSKEY}/challenge"
_RESPONSES: Final = (Response, type(None))
_LOGIN: Final = "/oauth/login"
_STEP: Final = _LOGIN
"""Where a further step is answered; what is kept for it opens at no route of the provider's own."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What somebody tries by one form."""

    question: Callable[[], Any]
    """Asks the provider who it is."""
    typed: Mapping[str, str]
    account: str
    """Which the throttle counts."""
    answered: StepAnswer | None = None
    """Of a further step with a short secret."""
    earlier: tuple[str, ...] = ()
    """As what the steps before it were counted, which were right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPage:
    """The login page."""

    requests: PendingRequests
    completion: LoginCompletion
    resources: Sequence[ProtectedResource]
    """The MCP endpoints, whose URLs a person who just logs in is told."""
    throttle: LoginThrottle | None = None
    """Counts the attempts; None lets everybody try as often as they like."""
    attempts: AttemptsAtOnce = field(default_factory=AttemptsAtOnce)
    offers_passkeys: bool = False
    """Whether `PasskeyLogin` is there, too."""

    def routes(self) -> tuple[Route, ...]:
        """Return its routes, with those of the provider."""
        pages = self.completion.pages.routes(
            Route("GET", "/oauth/login", self.get, _SHOW, limit=PAGE_LIMIT),
            Route("POST", "/oauth/login", self.post, _SUBMIT),
        )
        return (*pages, *self.completion.routes())

    async def get(self, request: Request) -> Response:
        completion, provider, pages = self.completion, self.completion.provider, self.completion.pages
        attach = completion.browser_sessions.attach
        # 1. Which browser is this? A new one may log in too, but no authorization request can be its own.
        session = await completion.browser_sessions.current_or_new(request)

        # 2. Which authorization request is it for, if any?
        parameters = query(request)
        purpose, switches_account = self.completion.purpose_of(parameters), "switch" in parameters
        transaction = None
        if purpose.transaction_id is not None:
            transaction = await self.requests.find(session, purpose.transaction_id)
            request.state.authorization_query = transaction.query

        # 3. Somebody who is logged in already goes on, unless they ask to be somebody else.
        if session.user is not None and not switches_account:
            return pages.redirect(purpose.goes_on or ACCOUNT)
        if session.password_only is not None and session.password_only.second_step is None and not switches_account:
            return pages.redirect(purpose.at(SECOND_STEP))

        # 4. Nobody can log in before the first account exists.
        if await provider.awaits_setup():
            return attach(pages.render(request, "setup_needed.html", retry=purpose.page), session)

        # 5. Some providers know without asking, some ask elsewhere; of several the person chooses one.
        chosen = next((each for each in provider.elsewhere if each.name == parameters.get("with")), provider)
        login = BrowserLogin(completion, request, session, chosen.name, purpose, switches_account, provider=chosen)
        with login.refusals():
            user = await completion.known_user(request)
            response = None if user is not None else await ask(chosen.challenge, request, login, returns=_RESPONSES)
        if user is not None and purpose.goes_on is not None:
            return await completion.finish(request, session, user, purpose)
        if user is not None:
            # Without a redirect: a browser that keeps no cookie would go in circles.
            return attach(self._logged_in(request, user), await completion.log_in(request, session, user) or session)

        # 6. The others ask here.
        response = response or self.form(request, session, purpose, transaction, provider.login_fields)
        return attach(pages.protect(response), session)

    async def post(self, request: Request) -> Response:
        completion, provider = self.completion, self.completion.provider
        # 1. The form comes from our own page.
        check_origin(request, origin=completion.origin)
        submitted = await read_form(request)
        purpose = self.completion.purpose_of(query(request))
        transaction_id, here = purpose.transaction_id, purpose.page
        session = await completion.browser_sessions.current(request)
        if session is None:
            return without_session(request, completion.browser_sessions, completion.pages, path=here)
        check_csrf_token(
            session,
            submitted.pop("csrf_token", None),
            purpose=PURPOSE,
            transaction_id=transaction_id,
            retry=PageLink(here, Phrase("Go on")),
        )

        # 2. The authorization request, if any, is this browser's own.
        transaction = None if transaction_id is None else await self.requests.find(session, transaction_id)
        request.state.authorization_query = None if transaction is None else transaction.query

        # 3. A further step goes on from what is kept; whoever is late, or clicks twice, begins again.
        login = BrowserLogin(completion, request, session, _STEP, purpose)
        attempt = await self._attempt(request, login, submitted)
        if attempt is None:
            return completion.pages.redirect(here)

        # 4. Who is it? Every guess at a secret passes here and nowhere else, and is counted before it is looked at.
        with self.attempts.one_of(session.record.browser_id), login.refusals():
            await self._admit(request, attempt)
            # Of a browser that has gone, no password needs to be checked.
            answer = await run_while_connected(ask(attempt.question, returns=ANSWERS), request.receive)
        if isinstance(answer, LoginStep):
            return await self._next_step(session, transaction, login, attempt, answer)
        with login.refusals():
            user = None if answer is None else await completion.recognise(answer)
        if user is None:
            await self._record_failure(request, attempt.account, Reason.LOGIN_FAILED)
            problem, typed = Phrase("Check what you typed, then try again."), attempt.typed
            return self.form(
                request, session, purpose, transaction, provider.login_fields, problem=problem, typed=typed
            )

        # 5. Log in under a new session, and on.
        # Who has a second step has passed it, or would not be here; of others elsewhere nothing is known.
        has_second_factor = user.second_step is not None
        response = await completion.finish(request, session, user, purpose, has_second_factor=has_second_factor)
        if self.throttle is not None:
            # A step that was counted otherwise, such as from another address, stays counted: else this would give back
            # to one count what was taken from another.
            earlier = attempt.earlier.count(self._counted_as(request, attempt.account))
            await self.throttle.succeeded(request, attempt.account, response, attempt.answered, earlier=earlier)
        return response

    def _counted_as(self, request: Request, account: str) -> str:
        return "" if self.throttle is None else self.throttle.counted_as(request, account)

    async def _attempt(self, request: Request, login: BrowserLogin, submitted: dict[str, str]) -> _Attempt | None:
        """Return what is tried by a form; None when what its step goes on from is gone."""
        provider, state = self.completion.provider, submitted.pop("state", None)
        if state is None:
            fields = provider.login_fields
            credentials = {asked.name: submitted.get(asked.name, "") for asked in fields}
            question = partial(provider.authenticate, request, credentials)
            return _Attempt(question, credentials, account_of(credentials, fields))
        kept = await login.take(state)
        if kept is None:
            return None
        secret, question = kept["short_secret"], partial(provider.continue_login, request, submitted, kept["data"])
        answered = None if secret is None else StepAnswer(secret, submitted)
        return _Attempt(question, submitted, kept["account"], answered, tuple(kept["earlier"]))

    async def _next_step(
        self,
        session: OpenSession,
        transaction: AuthorizationTransaction | None,
        login: BrowserLogin,
        attempt: _Attempt,
        step: LoginStep,
    ) -> Response:
        """Show the form of a further step, or the same again."""
        request = login.request
        if step.problem is not None:
            await self._record_failure(request, attempt.account, Reason.SECOND_STEP_FAILED)
        right = [self._counted_as(request, attempt.account)] if step.problem is None else []
        going_on = {
            "account": attempt.account,
            "data": dict(step.data),
            "short_secret": step.short_secret,
            "earlier": [*attempt.earlier, *right],
        }
        state, purpose = await login.begin(going_on), self.completion.purpose_of(query(request))
        return self.form(
            request,
            session,
            purpose,
            transaction,
            step.fields,
            heading=step.heading,
            problem=step.problem,
            state=state,
        )

    async def _admit(self, request: Request, attempt: _Attempt) -> None:
        """Count an attempt to log in.

        Raises:
            TooManyRequests: it is one too many.
        """
        if self.throttle is None:
            return
        try:
            await self.throttle.admit(request, attempt.account, attempt.answered)
        except TooManyRequests as refusal:
            # Behind, and in a bounded queue: an attacker can cause as many of these as it likes.
            self.completion.audit.note(request, AuditEvent.LOGIN, Outcome.REFUSED, reason=refusal.reason)
            raise

    async def _record_failure(self, request: Request, account: str, reason: Reason) -> None:
        """Keep that a login failed, and whose account was meant, if there is one."""
        completion = self.completion
        user = await completion.users.find_user(account) if completion.provider.issuer == LOCAL else None
        request.state.subject = subject = None if user is None else user.subject
        await completion.audit.record(request, AuditEvent.LOGIN, Outcome.REFUSED, reason=reason, subject=subject)

    def _logged_in(self, request: Request, user: User) -> Response:
        return self.completion.pages.render(
            request,
            "logged_in.html",
            user=user.name,
            mcp_urls=[resource.identifier for resource in self.resources],
        )

    def _passkeys(self, purpose: LogIn, *, suggests: bool) -> Ceremony:
        # One that was refused a moment ago is not suggested anew: the person chooses what to try.
        action = PASSKEY + purpose.page.removeprefix(_LOGIN)
        return Ceremony("get", PASSKEY_CHALLENGE, action, fills_fields=suggests)

    def _others(self, request: Request, purpose: LogIn) -> list[PageLink]:
        """Return the ways to log in elsewhere."""
        here = purpose.page_of(switch_account="switch" in query(request))
        joined = f"{here}{'&' if '?' in here else '?'}with="
        elsewhere = self.completion.provider.elsewhere
        return [
            PageLink(joined + each.name, Phrase("Log in with %(provider)s", provider=each.label)) for each in elsewhere
        ]

    def form(
        self,
        request: Request,
        session: OpenSession,
        purpose: LogIn,
        transaction: AuthorizationTransaction | None,
        fields: Sequence[LoginField],
        *,
        typed: Mapping[str, str] | None = None,
        heading: Words | None = None,
        problem: Words | None = None,
        state: str | None = None,
        reason: Reason = Reason.LOGIN_FAILED,
        is_typed: bool = True,
    ) -> Response:
        """Return the page.

        Args:
            request: what the browser sent.
            session: the browser's.
            purpose: what the login is for.
            transaction: the authorization request that it is a step of.
            fields: what is asked.
            typed: what was typed before.
            heading: what a further step is called.
            problem: what was wrong; None when nothing has been tried.
            state: what a further step goes on from.
            reason: why, for the log.
            is_typed: whether what was wrong is what was typed.
        """
        context: dict[str, Any] = {
            "action": purpose.page,
            "csrf_token": csrf_token(session, purpose=PURPOSE, transaction_id=purpose.transaction_id),
            "fields": fields,
            "others": () if state else self._others(request, purpose),
            "typed": typed or {},
            "heading": heading,
            "problem": problem,
            "state": state,
            "is_typed": is_typed,
            "passkeys": self._passkeys(purpose, suggests=is_typed) if self.offers_passkeys and not state else None,
            "destination": display_host(transaction.redirect_uri) if transaction and transaction.redirect_uri else None,
            "is_loopback": transaction is not None and is_loopback(transaction.redirect_uri),
        }
        pages = self.completion.pages
        if problem is None:
            return pages.render(request, "login.html", **context)
        reason = reason if state is None else Reason.SECOND_STEP_FAILED
        # 403 is what RFC 9110 section 15.5.4 has for credentials that do not suffice; 401 would have to carry a
        # WWW-Authenticate challenge, and browsers answer those with a dialogue of their own.
        return pages.refuse(request, "login.html", status=403, reason=reason, **context)


_PARAMETERS = [
    api.in_query("transaction", "The authorization request that this login is a step of; absent, it only logs in."),
    api.in_query("switch", "Ask also somebody who is logged in."),
    api.in_query("link", "The name of the login provider on whose link page the person goes on."),
    api.in_query("then", "The name of another page on which the person goes on: `admin` or `device`."),
    api.in_query("user_code", "The code of a device, with `then=device`."),
    api.in_query("with", "The name of one of several login providers, which is then asked."),
]
_SHOW = api.Operation(
    "show_login",
    "Ask who is at the browser",
    tag="Pages",
    parameters=_PARAMETERS,
    responses={
        200: api.page("The form; or who is logged in, where nobody is asked and there is nothing to go on to."),
        303: api.moved("On to consent, to the account, or to where the login provider asks."),
        400: api.page("The authorization request is over, or is another browser's."),
        409: api.page("The authorization request has been answered."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_SUBMIT = api.Operation(
    "submit_login",
    "Log in",
    tag="Pages",
    parameters=_PARAMETERS,
    # Local accounts; other providers have fields of their own, or none.
    request_body=api.page_form({"username": api.TEXT, "password": {"type": "string", "format": "password"}}),
    responses={
        303: api.moved("Logged in: on to consent, or to the account. Or the form again."),
        **api.PAGE_FORM_REFUSALS,
        409: api.page("The authorization request has been answered."),
        **api.PAGE_FLOODED,
    },
)
