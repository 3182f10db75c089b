"""GET and POST /oauth/consent (RFC 6749 sections 4.1.1, 10.2 and 10.13; RFC 9700 section 4.7).

Whatever is decided is decided on the transaction that the store holds; the form says yes or no and nothing else. The
page may be loaded and answered twice: a second approval replaces the code of the first as long as nobody redeemed it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.provider import IdentityProvider
from gatepost.late_dataclass import dataclass
from gatepost.oauth.consent import Consent, choices, narrowed
from gatepost.oauth.device_authorization import DEVICE_CODE, shown_user_code
from gatepost.oauth.errors import AccessDenied, InvalidRequest, InvalidTarget
from gatepost.oauth.issuing import gets_refresh_token
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationTransaction, Client
from gatepost.oauth.redirect_uris import display_host, halves_of_host, is_loopback, is_registered, is_web
from gatepost.oauth.registration import claimed_name
from gatepost.resource.resources import ProtectedResource
from gatepost.resource.scope_groups import MANY, in_groups
from gatepost.stores.contract.clients import ClientFinder
from gatepost.stores.contract.users import User
from gatepost.web.pages.browser_session import BrowserSessions, OpenSession
from gatepost.web.pages.csrf import check_csrf_token, check_origin, csrf_token, read_form
from gatepost.web.pages.decision import Decision
from gatepost.web.pages.pending_request import PendingRequests, consent_path, login_path, query
from gatepost.web.pages.rendering import PageLink, PageRefusal, Pages
from gatepost.web.pages.times import day, in_words
from gatepost.web.site import api_description as api
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import CountedPhrase, Phrase, Words

_PURPOSE = "consent"


@dataclass(frozen=True, slots=True)
class _Permission:
    """One scope as the page shows it."""

    scope: str
    words: Words
    field: str | None
    """Of the form, where it can be left out."""
    is_destructive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """The consent page."""

    clients: ClientFinder
    requests: PendingRequests
    browser_sessions: BrowserSessions
    provider: IdentityProvider
    """Says whether there are accounts to switch between."""
    decision: Decision
    resources: Sequence[ProtectedResource]
    """The MCP endpoints and the words for their scopes."""
    pages: Pages
    origin: str
    """Our own; a form from any other is refused."""
    lifetimes: Lifetimes
    """For how long an approval gives access."""
    required_scopes: Collection[str] = ()
    """Scopes that nobody can take out, because every request to the MCP endpoint needs them."""

    def routes(self) -> tuple[Route, ...]:
        return self.pages.routes(
            Route("GET", "/oauth/consent", self.get, _SHOW),
            Route("POST", "/oauth/consent", self.post, _SUBMIT),
        )

    async def get(self, request: Request) -> Response:
        # 1. The authorization request is this browser's own and not yet answered for good.
        transaction_id = _transaction_id(request)
        session = await self.requests.known_browser(await self.browser_sessions.current(request), transaction_id)
        transaction = await self.requests.find(session, transaction_id)

        # 2. It can be answered at all.
        client = await self._client(transaction)
        resource = next((known for known in self.resources if known.identifier == transaction.resource), None)
        if resource is None:
            gone = InvalidTarget(Reason.RESOURCE_UNKNOWN, "The resource is no longer served here.")
            return await self.decision.refuse(request, transaction, gone)

        # 3. Somebody is logged in.
        if session.user is None:
            return self.pages.redirect(login_path(transaction.transaction_id))

        # 4. Their roles permit some of it.
        try:
            transaction = self.decision.permitted(transaction, session.user)
        except AccessDenied as denied:
            return await self.decision.refuse(request, transaction, denied)

        # 5. Ask, unless the operator has decided.
        if self.decision.needs_no_question(transaction):
            return await self.decision.approve(request, transaction, session.user)
        earlier = await self.decision.earlier_approval(transaction, session.user)
        return self._page(request, session, transaction, client, resource, user=session.user, earlier=earlier)

    async def post(self, request: Request) -> Response:
        # 1. The form comes from our own page.
        check_origin(request, origin=self.origin)
        submitted = await read_form(request)
        transaction_id = _transaction_id(request)
        session = await self.requests.known_browser(await self.browser_sessions.current(request), transaction_id)
        check_csrf_token(
            session,
            submitted.get("csrf_token"),
            purpose=_PURPOSE,
            transaction_id=transaction_id,
            retry=PageLink(consent_path(transaction_id), Phrase("Go on")),
        )

        # 2. The authorization request is this browser's own, and can be answered still.
        transaction = await self.requests.find(session, transaction_id, may_be_answered=True)
        await self._client(transaction)

        # 3. The user who was asked may still act. A disabled one has to log in again, and will not succeed.
        if session.user is None:
            return self.pages.redirect(login_path(transaction_id))

        # 4. Their roles still permit some of it.
        try:
            transaction = self.decision.permitted(transaction, session.user)
        except AccessDenied as denied:
            return await self.decision.refuse(request, transaction, denied)

        # 5. Yes, with what was left ticked; or no. Nothing left is a no too.
        chosen = narrowed(transaction.scopes, required=self.required_scopes, ticked=_ticked(transaction, submitted))
        match submitted.get("decision"):
            case "approve" if chosen or not transaction.scopes:
                approved = replace(transaction, scopes=chosen)
                return await self.decision.approve(request, approved, session.user, was_asked=True)
            case "approve" | "deny":
                return await self.decision.deny(request, transaction, session.user)
            case _:
                raise InvalidRequest(Reason.PARAMETER_MISSING, "Neither Approve nor Deny was chosen; please go back.")

    async def _client(self, transaction: AuthorizationTransaction) -> Client:
        """Return the client if it is still registered, and with this redirect URI.

        It was when the request began. A person may take half an hour, and in between a client can be deleted for what
        it does; nothing is sent to a place that is not registered at that very moment.
        """
        client = await self.clients.find_client(transaction.client_id)
        if client is None:
            raise _client_gone(Reason.CLIENT_UNKNOWN)
        if client.disabled_at is not None:
            raise _client_gone(Reason.CLIENT_DISABLED)
        if transaction.device_code_fingerprint is not None:
            if DEVICE_CODE not in client.grant_types:
                raise _client_gone(Reason.GRANT_TYPE_NOT_REGISTERED)
        elif not is_registered(transaction.redirect_uri, client.redirect_uris):
            raise _client_gone(Reason.REDIRECT_URI_UNREGISTERED)
        return client

    def _page(
        self,
        request: Request,
        session: OpenSession,
        transaction: AuthorizationTransaction,
        client: Client,
        resource: ProtectedResource,
        *,
        user: User,
        earlier: Consent | None,
    ) -> Response:
        switch = login_path(transaction.transaction_id, switch_account=True)
        free = choices(transaction.scopes, required=self.required_scopes)
        template, asking = _who_asks(transaction, earlier)
        return self.pages.render(
            request,
            template,
            action=consent_path(transaction.transaction_id),
            csrf_token=csrf_token(session, purpose=_PURPOSE, transaction_id=transaction.transaction_id),
            client_name=claimed_name(client.client_name),
            groups=_groups(transaction, resource, free),
            summary=_summary(transaction.scopes, resource.destructive_scopes),
            can_choose=bool(free),
            lasts=_how_long(client, self.lifetimes),
            resource=resource,
            user=user.name,
            switch_path=switch if self.provider.can_switch_account else None,
            **asking,
        )


def _transaction_id(request: Request) -> str:
    """Return which authorization request the page's URL names; nothing is found under the empty string."""
    return query(request).get("transaction", "")


def _who_asks(transaction: AuthorizationTransaction, earlier: Consent | None) -> tuple[str, dict[str, Any]]:
    """Return the template of a request, and what it says of where the request comes from."""
    if transaction.user_code is not None:
        return "device_consent.html", {"user_code": shown_user_code(transaction.user_code)}
    # What the redirect URI says about who asks is the one thing here that the client cannot make up: the answer goes
    # there and nowhere else. So the page names it first and largest, and the name second.
    destination, leads_to_web = display_host(transaction.redirect_uri), is_web(transaction.redirect_uri)
    return "consent.html", {
        "destination": halves_of_host(destination) if leads_to_web else ("", destination),
        "is_loopback": is_loopback(transaction.redirect_uri),
        "is_web": leads_to_web,
        "allowed_before": earlier and day(earlier.created_at),
    }


def _how_long(client: Client, lifetimes: Lifetimes) -> Phrase:
    """Return for how long an approval gives access, as people say it."""
    if not gets_refresh_token(client):
        return in_words(lifetimes.access_token)
    return Phrase(
        "as long as the app uses it: until %(unused)s without use, %(most)s at the most",
        unused=in_words(lifetimes.refresh_token),
        most=in_words(lifetimes.grant),
    )


def _groups(
    transaction: AuthorizationTransaction, resource: ProtectedResource, free: Collection[str]
) -> list[tuple[Words | None, list[_Permission]]]:
    """Return what is asked for, in groups with their headings; one group has none."""
    groups = in_groups(transaction.scopes, resource.scope_groups)
    rest = Phrase("Further permissions") if len(groups) > 1 else None
    return [
        (group.heading or rest, [_permission(scope, transaction, resource, free) for scope in group.scopes])
        for group in groups
    ]


def _summary(scopes: Sequence[str], destructive: Collection[str]) -> Phrase | None:
    """Return how much is asked for where it does not fit on one screen: what can delete may stand at the end."""
    if len(scopes) <= MANY:
        return None
    dangerous = sum(scope in destructive for scope in scopes)
    total = CountedPhrase("%(count)s permission", "%(count)s permissions", len(scopes))
    if not dangerous:
        return Phrase("%(total)s.", total=total)
    return CountedPhrase(
        "%(total)s, one of which can delete or overwrite.",
        "%(total)s, %(count)s of which can delete or overwrite.",
        dangerous,
        total=total,
    )


def _permission(
    scope: str, transaction: AuthorizationTransaction, resource: ProtectedResource, free: Collection[str]
) -> _Permission:
    field = _field(transaction.scopes.index(scope)) if scope in free else None
    return _Permission(scope, resource.scopes.get(scope) or scope, field, scope in resource.destructive_scopes)


def _field(index: int) -> str:
    """Return the name of the form's field for one of the request's scopes."""
    return f"scope_{index}"


def _ticked(transaction: AuthorizationTransaction, submitted: Mapping[str, str]) -> set[str]:
    """Return the scopes that the form left ticked."""
    return {scope for index, scope in enumerate(transaction.scopes) if _field(index) in submitted}


def _client_gone(reason: Reason) -> PageRefusal:
    return PageRefusal(
        reason,
        title=Phrase("This app is not registered any more"),
        message=Phrase(
            "It was removed while you were deciding, or it changed its address. Connect again from the app."
        ),
    )


_PARAMETERS = [api.in_query("transaction", "The authorization request.", required=True)]
_SHOW = api.Operation(
    "show_consent",
    "Ask whether an app may have access",
    tag="Pages",
    parameters=_PARAMETERS,
    responses={
        200: api.page("The question, of an app or of a device elsewhere."),
        303: api.moved("On to the login; or back to the app, where the operator decided."),
        400: api.page("The authorization request is over, or is another browser's."),
        409: api.page("The authorization request has been answered."),
        **api.PAGE_UNAVAILABLE,
    },
)
_SUBMIT = api.Operation(
    "submit_consent",
    "Approve or deny",
    tag="Pages",
    parameters=_PARAMETERS,
    request_body=api.page_form(
        {
            "decision": {"type": "string", "enum": ["approve", "deny"]},
            "scope_0": {
                **api.TEXT,
                "description": "There if the first scope was left ticked; `scope_1` is the second.",
            },
        }
    ),
    responses={
        200: api.page("The answer is known to the device that asks."),
        303: api.moved("Back to the app with `code`, or with `error`; or on to the login."),
        **api.PAGE_FORM_REFUSALS,
        409: api.page("The authorization request has been answered."),
    },
)
