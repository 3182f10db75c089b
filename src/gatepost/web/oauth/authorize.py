"""GET /oauth/authorize: an app asks for access (RFC 6749 section 4.1.1, RFC 7636, RFC 8707, RFC 9207)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.provider import LoginRefused
from gatepost.late_dataclass import dataclass
from gatepost.oauth.authorization import (
    MAX_QUERY,
    AuthorizationRequest,
    begin_transaction,
    check_request,
    establish_redirect_uri,
    requested_client_id,
    requested_scopes,
    requested_uri,
)
from gatepost.oauth.display_text import display_text
from gatepost.oauth.errors import InvalidClient, InvalidRequest, InvalidTarget, OAuthError, TemporarilyUnavailable
from gatepost.oauth.parameters import Parameters, read_parameters
from gatepost.oauth.pushed_requests import PushedRequest, check_was_pushed, reference_of
from gatepost.oauth.reasons import Reason
from gatepost.outbound.addresses import is_loopback
from gatepost.resource.resources import ProtectedResource, find_resource
from gatepost.stores.contract.clients import ClientFinder
from gatepost.stores.contract.pushed_requests import PushedRequestStore
from gatepost.stores.contract.transactions import TransactionStore
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.pages.browser_session import BrowserSessions
from gatepost.web.pages.decision import Decision
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.pending_request import consent_path, login_path
from gatepost.web.pages.rendering import PageRefusal, Pages
from gatepost.web.site import api_description as api
from gatepost.web.site.errors import RETRY_AFTER, log_refusal
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeEndpoint:
    """The authorization endpoint."""

    clients: ClientFinder
    pushed_requests: PushedRequestStore
    transactions: TransactionStore
    """Where a validated request waits for login and consent."""
    resources: Sequence[ProtectedResource]
    """Those that tokens can be for."""
    browser_sessions: BrowserSessions
    completion: LoginCompletion
    """May say who is there without asking."""
    decision: Decision
    """Approves where nobody has to be asked."""
    pages: Pages
    """Renders the errors that must not redirect."""
    transaction_lifetime: int
    """Seconds in which the person has to decide."""
    now: Callable[[], int]
    random_bytes: RandomBytes

    def routes(self) -> tuple[Route, ...]:
        route = Route("GET", "/oauth/authorize", self.get, _AUTHORIZE, limit=PAGE_LIMIT)
        return self.pages.routes(route)

    async def get(self, request: Request) -> Response:
        # 1. Read the query, or what was pushed. What is repeated or malformed is set apart: the answer depends on it.
        parameters = _parameters(request)
        pushed = await self._pushed(parameters)
        if pushed is not None:
            parameters = read_parameters(pushed.query.encode())

        # 2. Client and redirect URI first: until both are established, nothing redirects (RFC 6749 4.1.2.1).
        asked = await self._established(request, parameters)

        # 3. Everything else: refusals go back to the client.
        try:
            if pushed is None:
                check_was_pushed(asked, self.decision.authorization_server)
            check_request(asked)
            resource = _resource(asked, self.resources)
            scopes = requested_scopes(asked, known=resource.scopes, default=resource.default_scopes)
        except OAuthError as error:
            log_refusal(request, error=error.error, reason=error.reason)
            return await self.decision.refuse(request, asked, error)

        # 4. The request becomes this browser's own.
        said = request.url.query if pushed is None else pushed.query
        query = said if self.completion.provider.reads_query else None
        request.state.authorization_query = query
        session = await self.browser_sessions.current(request)
        own = session or self.browser_sessions.new()
        transaction = begin_transaction(
            asked,
            transaction_id=identifier("transaction_", self.random_bytes),
            browser_id=own.record.browser_id,
            scopes=scopes,
            resource=resource.identifier,
            now=self.now(),
            lifetime=self.transaction_lifetime,
            sent_by_no_site=_is_sent_by_no_site(request),
            query=query,
        )

        # 5. Decide at once where nobody has to log in or to be asked.
        if self.decision.needs_no_question(transaction):
            user = own.user
            with suppress(LoginRefused):  # which the login page is there to say
                user = user or await self.completion.known_user(request)
            answer = None if user is None else await self.decision.at_once(request, transaction, user, asked.client)
            if answer is not None:
                return answer

        # 6. Else keep it; login and consent decide on what is kept.
        if session is None:
            await self.browser_sessions.start(own)
        await self.transactions.begin_transaction(transaction)
        path = (login_path if own.user is None else consent_path)(transaction.transaction_id)
        return self.browser_sessions.attach(self.pages.redirect(path), own)

    async def _pushed(self, parameters: Parameters) -> PushedRequest | None:
        """Return the request that was pushed and that this one names in place of all else; None where it names none.

        It is spent by this, so an address that somebody else has seen is worth nothing once it was opened.

        Raises:
            PageRefusal: it names one that is not there, or names it twice, or no client beside it.
        """
        try:
            request_uri = requested_uri(parameters)
            if request_uri is None:
                return None
            client_id, reference = requested_client_id(parameters), reference_of(request_uri)
        except InvalidRequest as error:
            raise _broken_link(error.reason, error.description) from None
        taken = None
        if reference is not None:
            taken = await self.pushed_requests.take_request(reference, client_id=client_id, now=self.now())
        if taken is None:
            raise PageRefusal(
                Reason.REQUEST_URI_INVALID,
                title=Phrase("This link is over"),
                message=Phrase("It works once and for a short time. Go back to your app and connect again from there."),
            )
        return taken

    async def _established(self, request: Request, parameters: Parameters) -> AuthorizationRequest:
        """Return the request with its client and redirect URI.

        Raises:
            PageRefusal: one of them is missing, unknown or ambiguous.
        """
        try:
            client = await self.clients.find_client(requested_client_id(parameters))
            if client is None:
                raise PageRefusal(
                    Reason.CLIENT_UNKNOWN,
                    title=Phrase("This app is not known here"),
                    message=Phrase(
                        "It may have been registered a long time ago, or with another server. Remove the connection in "
                        "your app and add it again, so that it registers anew."
                    ),
                )
            request.state.client_id = client.client_id
            request.state.redirect_uri = _without_query(parameters.values.get("redirect_uri"))
            if client.disabled_at is not None:
                raise PageRefusal(
                    Reason.CLIENT_DISABLED,
                    title=Phrase("This app is not allowed here"),
                    message=Phrase(
                        "The people who run this server have shut it out. Ask them if you think that is a mistake."
                    ),
                )
            return establish_redirect_uri(client, parameters)
        except InvalidRequest as error:
            raise _broken_link(error.reason, error.description) from None
        except (InvalidClient, TemporarilyUnavailable) as error:
            if error.reason is Reason.EGRESS_UNAVAILABLE:
                raise _no_way_out(error) from None
            raise PageRefusal(
                error.reason,
                title=Phrase("This app could not be checked"),
                message=Phrase(
                    "It keeps a description of itself on a web server, and that cannot be used. Nothing was sent back "
                    "to the app. Its developer can read below what is wrong."
                ),
                detail=error.description,
            ) from None


def _parameters(request: Request) -> Parameters:
    query: bytes = request.scope["query_string"]
    if len(query) > MAX_QUERY:
        raise _broken_link(Reason.PARAMETER_MALFORMED, f"The query is longer than {MAX_QUERY} bytes.")
    return read_parameters(query)


def _without_query(redirect_uri: str | None) -> str | None:
    """Return a redirect URI as the log shows it: which one it is tells why it was refused; what it carries does not."""
    return None if redirect_uri is None else display_text(re.split("[?#]", redirect_uri, maxsplit=1)[0], longest=200)


def _is_sent_by_no_site(request: Request) -> bool:
    """Say whether no site made a browser send the request, nor load it as a picture or a frame (Fetch Metadata).

    Then it comes from a program (every browser since 2023 sends `Sec-Fetch-Site` to an address of https or loopback,
    and to no other), or an app or the person opened a page of the browser with it, and not the browser by itself, ahead
    of the person. That is no consent: see `gatepost.oauth.consent`.
    """
    if "sec-fetch-site" not in request.headers:
        host = request.url.hostname or ""
        return request.url.scheme == "https" or host == "localhost" or is_loopback(host)
    expected = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    is_begun = all(request.headers.getlist(name) == [value] for name, value in expected.items())
    return is_begun and "sec-purpose" not in request.headers


def _no_way_out(error: OAuthError) -> PageRefusal:
    return PageRefusal(
        error.reason,
        status=error.status,
        title=Phrase("This server could not check the app"),
        message=Phrase(
            "That is no fault of yours or the app's. Tell the people who run this server; after a few tries your app "
            "may find another way."
        ),
        detail=error.description,
        headers={"Retry-After": str(RETRY_AFTER)},
    )


def _broken_link(reason: Reason, description: str) -> PageRefusal:
    return PageRefusal(
        reason,
        title=Phrase("This link cannot be used"),
        message=Phrase(
            "The app that sent you here made a mistake in its request, so nothing was sent back to it. Its developer "
            "can read below what is wrong."
        ),
        detail=description,
    )


def _resource(asked: AuthorizationRequest, resources: Sequence[ProtectedResource]) -> ProtectedResource:
    """Return the resource that the token is to be for (RFC 8707 section 2).

    Raises:
        InvalidTarget: it is not one of ours, or is not named where there are several.
    """
    resource = find_resource(resources, asked.parameters.values.get("resource"))
    if resource is None:
        raise InvalidTarget(
            Reason.RESOURCE_UNKNOWN,
            "resource is not one of this server's; send the resource of the protected resource metadata exactly.",
        )
    return resource


_DESCRIPTION = """\
The authorization code flow with PKCE S256. A browser comes here, not a program. After login and consent it is sent to
the redirect URI with `code`, `state` and `iss`, or with `error`, `error_description`, `state` and `iss`; at once, where
neither has to be asked for.

As long as the client and its redirect URI are not established, an error is a page and never a redirect.
"""

_AUTHORIZE = api.Operation(
    "authorize",
    "Ask a user for access",
    description=_DESCRIPTION,
    parameters=[
        api.in_query("client_id", "The client's identifier.", required=True),
        api.in_query("request_uri", "What `/oauth/par` answered, in place of everything but `client_id` (RFC 9126)."),
        api.in_query("response_type", "Always `code`. Required without `request_uri`.", enum=["code"]),
        api.in_query("redirect_uri", "Exactly as registered; may be absent if the client registered only one."),
        api.in_query(
            "code_challenge",
            "The SHA-256 of the code verifier as base64url (RFC 7636). Required without `request_uri`.",
            pattern="^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
        ),
        api.in_query("code_challenge_method", "Always `S256`. Required without `request_uri`.", enum=["S256"]),
        api.in_query("scope", "Space-separated. Unknown ones are dropped; absent means the default set."),
        api.in_query(
            "resource", "The MCP endpoint that the token is for (RFC 8707); may be absent if there is only one."
        ),
        api.in_query(
            "dpop_jkt",
            "The SHA-256 thumbprint of the key without which the code cannot be redeemed (RFC 9449 section 10).",
            pattern="^[A-Za-z0-9_-]{43}$",
        ),
        api.in_query("state", "Given back as it is."),
    ],
    responses={
        303: api.moved("On to login or consent; or back to the client, with an error or when nobody has to be asked."),
        400: api.page("The client or its redirect URI cannot be established."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
