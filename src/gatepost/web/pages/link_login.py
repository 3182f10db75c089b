"""/oauth/account/link/NAME and /oauth/account/logins: the logins of a person, one more, and one less.

The page of a provider says what linking means before anybody is sent there. An app may lead a person to it: who is not
logged in logs in first, and at the end it says that it is done. Linking lets whoever has that login in for good, so it
takes a login that is fresh; unlinking takes away and asks for nothing, but leaves a way to log in.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.asking import ask
from gatepost.identity.provider import IdentityProvider
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.linked_logins import LinkedLogin, UnlinkOutcome
from gatepost.stores.contract.users import LOCAL
from gatepost.tokens.opaque import fingerprint
from gatepost.web.pages.account_form import submitted_form
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import csrf_token
from gatepost.web.pages.linking import Linking
from gatepost.web.pages.login_completion import BrowserLogin, LoginCompletion
from gatepost.web.pages.login_purpose import FROM_ACCOUNT, LinkLogin, LogIn, link_page_path
from gatepost.web.pages.pending_request import ACCOUNT, query
from gatepost.web.pages.recent_login import is_recent
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.web.pages.times import day
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase

LOGINS: Final = f"{ACCOUNT}/logins"
_PURPOSE: Final = "link-login"
_UNLINK_PURPOSE: Final = "unlink-login"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLoginPage:
    """The page of each provider that can be linked, and what the account page shows of logins."""

    completion: LoginCompletion
    """Sessions, providers, pages and audit trail are the login's."""

    def routes(self) -> tuple[Route, ...]:
        return self.completion.pages.routes(
            Route("POST", LOGINS, self.unlink, _UNLINK),
            *(
                route
                for provider in self.completion.linkable
                for route in (
                    Route("GET", link_page_path(provider.name), partial(self.get, provider), _SHOW, limit=PAGE_LIMIT),
                    Route("POST", f"{LOGINS}/{provider.name}", partial(self.begin, provider), _LINK, limit=PAGE_LIMIT),
                )
            ),
        )

    async def get(self, provider: IdentityProvider, request: Request) -> Response:
        # 1. Somebody is logged in.
        completion = self.completion
        session = await completion.browser_sessions.current(request)
        after_login = LogIn(then_link=provider.name)
        if session is None or session.user is None:
            return completion.pages.redirect(after_login.page)

        # 2. Say that it is done; or that they have to log in again; or what it means, with a button.
        logins = await self._linking.logins.list_logins(session.user.subject)
        known = next((login for login in logins if provider.vouches_for(login.issuer)), None)
        is_from_account = _is_from_account(request)
        # Where tools act there, a login that is linked and has nothing left to act with is done once more.
        tokens = completion.upstream_tokens_of(provider)
        has_tokens = tokens is not None and await tokens.has(session.user.subject, provider.name)
        return completion.pages.render(
            request,
            "link_login.html",
            csrf_token=csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            action=f"{LOGINS}/{provider.name}" + (f"?{FROM_ACCOUNT}" if is_from_account else ""),
            login_path=None if is_recent(session, now=completion.now()) else after_login.page_of(switch_account=True),
            account_path=ACCOUNT,
            user=session.user.name,
            provider=provider.label,
            is_linked=known is not None and (tokens is None or has_tokens),
            is_known=known is not None,
            keeps_tokens=tokens is not None,
            name_there=None if known is None else known.display_name,
        )

    async def begin(self, provider: IdentityProvider, request: Request) -> Response:
        # 1. The form is our own page's, and somebody is logged in, since not long ago.
        completion = self.completion
        here = LinkLogin("", provider.name, _is_from_account(request)).page
        submitted = await submitted_form(request, completion, purpose=_PURPOSE, path=here)
        if isinstance(submitted, Response):
            return submitted
        session, user, _ = submitted
        if not is_recent(session, now=completion.now()):
            return completion.pages.redirect(here)

        # 2. Have the person choose an account there; what comes back is for this account and no other.
        purpose = LinkLogin(user.subject, provider.name, _is_from_account(request))
        login = BrowserLogin(
            completion, request, session, provider.name, purpose, switches_account=True, provider=provider
        )
        with login.refusals():
            sent = await ask(provider.challenge, request, login, returns=(Response,))
        return completion.pages.protect(sent)

    async def unlink(self, request: Request) -> Response:
        # 1. The form is our own page's, and somebody is logged in.
        completion = self.completion
        submitted = await submitted_form(request, completion, purpose=_UNLINK_PURPOSE)
        if isinstance(submitted, Response):
            return submitted
        _, user, form = submitted

        # 2. What is not theirs is answered like what there is not: by the page as it is.
        logins = await self._linking.logins.list_logins(user.subject)
        named = next((login for login in logins if _id(login) == form.get("login")), None)
        if named is None:
            return completion.pages.redirect(ACCOUNT)

        # 3. Unlink it, if another way to log in is left. What it brought for tools ends with it, here and there.
        tokens = completion.upstream_tokens
        listed = [] if tokens is None else await tokens.listed(user.subject)
        kept = [one for one in listed if one.login == named.key]
        keeps = [login.key for login in logins if login is not named and completion.offers(login.issuer)]
        outcome = await self._linking.logins.unlink_login(user.subject, named.key, keeps=keeps)
        if outcome is UnlinkOutcome.LAST:
            await completion.audit.record(
                request, AuditEvent.LOGIN_UNLINKED, Outcome.REFUSED, reason=Reason.LAST_LOGIN, subject=user.subject
            )
            raise PageRefusal(
                Reason.LAST_LOGIN,
                status=409,
                title=Phrase("This login stays"),
                message=Phrase("It is the only way for you to log in. Link another first."),
                link=PageLink(ACCOUNT, Phrase("Your account")),
            )
        if outcome is UnlinkOutcome.UNLINKED:
            await completion.audit.record(request, AuditEvent.LOGIN_UNLINKED, subject=user.subject)
            if tokens is not None:
                await tokens.tell(kept)
        return completion.pages.redirect(ACCOUNT)

    async def shown_on_account(self, session: OpenSession) -> dict[str, Any]:
        """Return what the account page shows of the logins of who is logged in."""
        completion = self.completion
        logins = [] if session.user is None else await self._linking.logins.list_logins(session.user.subject)
        offered = [login for login in logins if completion.offers(login.issuer)]
        further = [
            PageLink(f"{link_page_path(each.name)}?{FROM_ACCOUNT}", each.label)
            for each in completion.linkable
            if not any(each.vouches_for(login.issuer) for login in logins)
        ]
        return {
            "unlink_token": csrf_token(session, purpose=_UNLINK_PURPOSE, transaction_id=None),
            "logins": [
                {
                    "id": _id(login),
                    "is_password": login.issuer == LOCAL,
                    "provider": self._label(login.issuer),
                    "issuer": login.issuer,
                    "name": login.display_name or login.external_subject,
                    "since": day(login.linked_at),
                    "is_offered": login in offered,
                    "can_go": login.issuer != LOCAL and any(other is not login for other in offered),
                }
                for login in logins
            ]
            if further or len(logins) > 1
            else (),
            "further_logins": further,
        }

    def _label(self, issuer: str) -> str:
        provider = next((each for each in self.completion.provider.every if each.vouches_for(issuer)), None)
        return issuer if provider is None else provider.label

    @property
    def _linking(self) -> Linking:
        return self.completion.linking


def _is_from_account(request: Request) -> bool:
    return query(request).get("from") == "account"


def _id(login: LinkedLogin) -> str:
    """Return by what a form names a login."""
    return fingerprint("\0".join(login.key)).hex()


_PARAMETERS = [api.in_query("from", "`account` where the account page led here, which is then gone back to.")]
_SHOW = api.Operation(
    "show_link_login",
    "Say what linking a login at this provider means, or that it is done",
    tag="Pages",
    parameters=_PARAMETERS,
    responses={
        200: api.page("The form; or that a login there is linked; or that a fresh login is needed first."),
        303: api.moved("On to the login, which comes back here."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_LINK = api.Operation(
    "link_login",
    "Begin to link a login at this provider",
    tag="Pages",
    parameters=_PARAMETERS,
    request_body=api.page_form({}),
    responses={
        303: api.moved("To where the login provider asks; or back to the page, which says what is missing."),
        **api.PAGE_FORM_REFUSALS,
        **api.PAGE_FLOODED,
    },
)
_UNLINK = api.Operation(
    "unlink_login",
    "Unlink a login",
    tag="Pages",
    request_body=api.page_form({"login": api.text("Which.")}),
    responses={
        303: api.moved("Back to the account, whether or not there was anything to unlink."),
        **api.PAGE_FORM_REFUSALS,
        409: api.page("It is the only way to log in."),
    },
)
