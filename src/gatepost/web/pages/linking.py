"""Giving a person one more login: what happens when the browser comes back from a provider with it.

Whose account gets it is said when the link begins, and has to be who is logged in when it ends. It leads to one person
at most, and nobody is made one with somebody else: accounts are never joined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkedLoginStore, LinkOutcome, LoginKey
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.login_purpose import LinkLogin, link_page_path
from gatepost.web.pages.pending_request import ACCOUNT, login_path
from gatepost.web.pages.rendering import PageLink, PageRefusal, Pages
from gatepost.web.site.audit import Audit
from gatepost.wording.phrase import Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Linking:
    """Links logins."""

    logins: LinkedLoginStore
    pages: Pages
    audit: Audit
    now: Callable[[], int]

    async def finish(
        self,
        request: Request,
        session: OpenSession | None,
        purpose: LinkLogin,
        login: LoginKey,
        display_name: str | None,
    ) -> Response:
        """Link a login for which its provider has just vouched, and go back to where the link began.

        `session` is the browser's as it is by now: the provider was asked since it came back, which takes a while.

        Raises:
            PageRefusal: somebody else is logged in by now, or the login is somebody else's, or the person has another
                of this issuer.
        """
        if session is None or session.user is None or session.user.subject != purpose.subject:
            raise await self._refusal(request, purpose, Reason.LINK_OF_ANOTHER_PERSON)
        outcome = await self.logins.link_login(
            LinkedLogin(*login, purpose.subject, linked_at=self.now(), display_name=display_name)
        )
        if outcome not in {LinkOutcome.LINKED, LinkOutcome.OWN}:
            raise await self._refusal(request, purpose, _REASONS[outcome])
        if outcome is LinkOutcome.LINKED:
            await self.audit.record(request, AuditEvent.LOGIN_LINKED, subject=purpose.subject)
        return self.pages.redirect(ACCOUNT if purpose.returns_to_account else link_page_path(purpose.provider))

    async def _refusal(self, request: Request, purpose: LinkLogin, reason: Reason) -> PageRefusal:
        await self.audit.record(
            request, AuditEvent.LOGIN_LINKED, Outcome.REFUSED, reason=reason, subject=purpose.subject
        )
        message, link = _WORDS[reason]
        return PageRefusal(reason, status=409, title=Phrase("Nothing was linked"), message=message, link=link)


_REASONS: Final = {
    LinkOutcome.OF_ANOTHER: Reason.LOGIN_OF_ANOTHER_PERSON,
    LinkOutcome.ONE_THERE: Reason.LOGIN_OF_ISSUER_LINKED,
    # Who is disabled is logged out, so this one has been just now.
    LinkOutcome.NO_PERSON: Reason.LINK_OF_ANOTHER_PERSON,
}
_TO_ACCOUNT: Final = PageLink(ACCOUNT, Phrase("Your account"))
_WORDS: Final = {
    Reason.LINK_OF_ANOTHER_PERSON: (
        Phrase(
            "The person who began this is not logged in in this browser any more, so nothing was changed. Log in, and "
            "begin again."
        ),
        _TO_ACCOUNT,
    ),
    Reason.LOGIN_OF_ANOTHER_PERSON: (
        Phrase(
            "This login leads to another account of this server already. Both stay as they are: accounts are not "
            "joined. Log in with it to see that account. If that one has another login, you can unlink this one there, "
            "and then link it here; else ask the people who run this server."
        ),
        PageLink(login_path(switch_account=True), Phrase("Log in with it")),
    ),
    Reason.LOGIN_OF_ISSUER_LINKED: (
        Phrase(
            "You have another login of the same provider already. Unlink that one first if you want this one in its "
            "place."
        ),
        _TO_ACCOUNT,
    ),
}
