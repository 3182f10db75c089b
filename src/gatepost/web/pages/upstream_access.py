"""/oauth/account/upstream: where tools may act as a person, and ending that, here and at the provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.provider import IdentityProvider
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.web.pages.account_form import submitted_form
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import csrf_token
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.pending_request import ACCOUNT
from gatepost.web.pages.times import day
from gatepost.web.site import api_description as api
from gatepost.web.site.routing import Route

UPSTREAM: Final = f"{ACCOUNT}/upstream"
_PURPOSE: Final = "upstream-access"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAccess:
    """What the account page shows of tokens that are kept for tools, and their end."""

    completion: LoginCompletion
    """Sessions, tokens, pages and audit trail are the login's."""

    def routes(self) -> tuple[Route, ...]:
        """Return what there is where tokens are kept at all."""
        if self.completion.upstream_tokens is None:
            return ()
        return self.completion.pages.routes(Route("POST", UPSTREAM, self.end, _END))

    async def end(self, request: Request) -> Response:
        """End it, and go back to the account page."""
        # 1. The form is our own page's, and somebody is logged in.
        completion, tokens = self.completion, self.completion.upstream_tokens
        submitted = await submitted_form(request, completion, purpose=_PURPOSE)
        if isinstance(submitted, Response) or tokens is None:
            return submitted if isinstance(submitted, Response) else completion.pages.redirect(ACCOUNT)
        _, user, form = submitted

        # 2. End what is kept here, then there. What is not theirs is answered like what there is not.
        ended = await tokens.end(user.subject, provider=form.get("provider", ""))
        if ended:
            await completion.audit.record(
                request, AuditEvent.UPSTREAM_TOKENS_ENDED, reason=Reason.USER_REVOKED, subject=user.subject
            )
            await tokens.tell(ended)
        return completion.pages.redirect(ACCOUNT)

    async def shown_on_account(self, session: OpenSession) -> Mapping[str, Any]:
        """Return what the account page shows of who is logged in."""
        tokens = self.completion.upstream_tokens
        kept = [] if tokens is None or session.user is None else await tokens.listed(session.user.subject)
        return {
            "upstream_token": csrf_token(session, purpose=_PURPOSE, transaction_id=None) if kept else None,
            "upstream_access": [
                {
                    "provider": one.provider,
                    "label": self._label(one.provider),
                    "scopes": [display_text(scope) for scope in one.scopes],
                    "since": day(one.linked_at),
                }
                for one in kept
            ],
        }

    def _label(self, name: str) -> str:
        every: tuple[IdentityProvider, ...] = tuple(self.completion.provider.every)
        return next((each.label for each in every if each.name == name), name)


_END = api.Operation(
    "end_upstream_access",
    "End what tools may do as a person at a login provider",
    tag="Pages",
    request_body=api.page_form({"provider": api.text("At which.")}),
    responses={303: api.moved("Back to the account, whether or not there was any."), **api.PAGE_FORM_REFUSALS},
)
