"""The one place where an error becomes a response (RFC 6749 section 5.2, RFC 9110 section 15).

    OAuthError            its status, JSON (RFC 6749 section 5.2); a body that is too large or slow is one
    StoreUnavailable      503 with Retry-After: never 401, never invalid_client
    ClientDisconnected    nothing; nobody is listening
    HTTPException         its status; the router's own 404 and 405 say what to do
    anything else         500 with an incident id that the log explains

Pages answer their own errors (`pages/rendering.py`); only the 500 and the router's own 404 and 405 become pages here,
for a browser that navigates.
Every refusal is logged at INFO with its reason, the route's template and, once a route has put it into
`request.state.client_id`, the identifier of a client that exists. What the client sent is never logged.
"""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import (
    InvalidClient,
    InvalidToken,
    OAuthError,
    ServerError,
    TemporarilyUnavailable,
    UseDpopNonce,
)
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.errors import StoreConnectionsTaken, StoreUnavailable
from gatepost.telemetry.request_ids import incident_id
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.site.plain_answers import NO_STORE
from gatepost.web.site.request_body import BodyTooSlow, ClientDisconnected
from gatepost.web.site.responses import json_response
from gatepost.wording.phrase import Phrase, Words

if TYPE_CHECKING:
    from starlette.applications import Starlette

logger = logging.getLogger("gatepost.web")

REFUSED_FOR: Final = "gatepost.refused_for"
"""Where in the scope of a refused request its reason stands."""
RETRY_AFTER = 5
"""Seconds after which a client may ask again when the store cannot answer."""

_BASIC_CHALLENGE = 'Basic realm="token endpoint", charset="UTF-8"'  # RFC 7617 section 2
_NOT_FOUND = 404
_WITHOUT_BODY = frozenset({204, 205, 304})  # RFC 9110 section 6.4.1

# Keyed by the status and text of the router's own errors; a route of the user's that raises its own text keeps it.
_ADVICE = {
    (404, "Not Found"): {
        "error": "not_found",
        "error_description": "Nothing is served at this address; /.well-known/oauth-protected-resource names the MCP "
        "endpoint.",
    },
    (405, "Method Not Allowed"): {
        "error": "method_not_allowed",
        "error_description": "This address does not take this method; the Allow header lists those it takes.",
    },
}

_FOR_PEOPLE = {
    (404, "Not Found"): (
        Phrase("There is no such page"),
        Phrase("Perhaps the link that led here is old, or a part of it is missing."),
        Reason.PAGE_UNKNOWN,
    ),
    (405, "Method Not Allowed"): (
        Phrase("This address is for forms and apps"),
        Phrase("There is nothing to see here. Go back to the page that you came from, or to your app."),
        Reason.PAGE_TAKES_FORMS,
    ),
}
"""The same for people: title, message and reason."""


Landing: TypeAlias = Callable[[HTTPConnection], Response | None]
"""Returns the page for a browser that a person sent to `/` or an MCP endpoint; None for all others."""


class ScrubbedTraceback(Exception):
    """The traceback of `error` as text without credentials; as `exc_info`, every log formatter sets it apart."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(scrubbed_traceback(error))
        self._gatepost_kind = type(error).__qualname__
        """The class of `error`, for who writes logs as fields; an error of a tool has no attribute of this name."""


class AnswerCutShort(Exception):
    """A route failed after its answer had begun."""


class ErrorPage(Protocol):
    """Renders a local error page: `gatepost.web.pages.rendering.Pages.error_page`."""

    def __call__(
        self, request: HTTPConnection, *, status: int, title: Words, message: Words, reason: Reason
    ) -> Response:
        """Return the page."""


def oauth_error_response(error: OAuthError, *, headers: Mapping[str, str] = NO_STORE) -> Response:
    """Return the JSON answer to `error`, never to be cached (RFC 6749 sections 5.1 and 5.2).

    Args:
        error: the refusal.
        headers: more headers, such as the challenge that a failed Basic authentication needs.
    """
    wait = RETRY_AFTER if isinstance(error, TemporarilyUnavailable) else error.retry_after
    retry_after = {} if wait is None else {"Retry-After": str(wait)}
    body = {"error": error.error, "error_description": error.description}
    return json_response(body, error.status, {**NO_STORE, **retry_after, **headers})


def log_refusal(connection: HTTPConnection, *, error: str, reason: Reason, refusal_id: str | None = None) -> None:
    """Log one refusal with `error`, `reason`, `endpoint` and, where the request's state has them, what is known of it.

    That is the `subject`, the `client_id`, the `redirect_uri` of an authorization request (without its query) and the
    `address`. What a page shows a person as `refusal_id` stands in the line, too.
    """
    endpoint = endpoint_of(connection.scope)
    note_reason(connection.scope, reason)
    known = {
        name: getattr(connection.state, name, None) for name in ("subject", "client_id", "redirect_uri", "address")
    }
    logger.info(
        "refused at %s: %s (%s)",
        endpoint,
        reason.value,
        error,
        extra={"error": error, "reason": reason.value, "endpoint": endpoint, **known, "refusal_id": refusal_id},
    )


def store_unavailable(
    connection: HTTPConnection, error: Exception, *, random_bytes: RandomBytes = secrets.token_bytes
) -> TemporarilyUnavailable:
    """Log that the store cannot answer, and return what the client is told."""
    endpoint, incident = endpoint_of(connection.scope), incident_id(random_bytes)
    are_taken = isinstance(error, StoreConnectionsTaken)
    reason = Reason.STORE_CONNECTIONS_TAKEN if are_taken else Reason.STORE_UNAVAILABLE
    note_reason(connection.scope, reason)
    logger.error(
        "incident %s: the store cannot answer %s",
        incident,
        endpoint,
        exc_info=ScrubbedTraceback(error),
        extra={"reason": reason.value, "endpoint": endpoint, "incident": incident},
    )
    return TemporarilyUnavailable(reason, store_unavailable_text(incident))


def store_unavailable_text(incident: str) -> str:
    """Return what a client is told, whatever is wrong with the store."""
    return (
        f"The server cannot reach its data now; try again in {RETRY_AFTER} seconds. "
        f"Its log explains it as incident {incident}."
    )


def note_reason(scope: Scope, reason: Reason) -> None:
    """Have the request keep why it was refused, for whoever counts that."""
    scope[REFUSED_FOR] = reason.value


def endpoint_of(scope: Scope) -> str:
    """Return the template of the matched route, such as `/oauth/token`; the path itself is the client's text."""
    path: str = getattr(scope.get("route"), "path", "(no route)")
    return path


def scrubbed_traceback(error: BaseException) -> str:
    """Return the traceback of `error` and of its causes without what looks like a credential in their messages."""
    from gatepost.observability.scrubbing import scrub_traceback  # noqa: PLC0415 - only for a fault

    return scrub_traceback("".join(traceback.format_exception(error)))


class ErrorResponses:
    """Makes a response of any error.

    Args:
        error_page: renders a 500 for browsers; without it everybody gets JSON.
        landing: returns the page that a browser is shown where nothing else is, or None.
        random_bytes: where incident ids come from.
    """

    def __init__(
        self,
        *,
        error_page: ErrorPage | None = None,
        landing: Landing | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._error_page = error_page
        self._landing = landing
        self._random_bytes = random_bytes
        self._kept_from_starting: tuple[Exception | None, str] = (None, "")
        """What did, and its incident id: many requests see one failure."""

    def response(self, request: Request, error: Exception) -> Response:
        """Return the response to `error`, after logging it."""
        match error:
            case OAuthError():
                log_refusal(request, error=error.error, reason=error.reason)
                return oauth_error_response(error, headers=_headers(request, error))
            case ClientDisconnected():
                logger.debug("the client went away from %s", endpoint_of(request.scope))
                return Response(status_code=400)
            case StoreUnavailable():
                return oauth_error_response(store_unavailable(request, error, random_bytes=self._random_bytes))
            case HTTPException():
                page = self._landing(request) if self._landing is not None and error.status_code == _NOT_FOUND else None
                return page or self._page_of(request, error) or _http_exception_response(error)
            case _:
                return self._incident_response(request, self.log_incident(request.scope, error))

    def not_started(self, scope: Scope, error: Exception) -> Response:
        """Return the answer to a request that came while the server cannot open, after logging why."""
        if error is not self._kept_from_starting[0]:
            self._kept_from_starting = error, self.log_incident(scope, error, Reason.NOT_STARTED)
        description = (
            "This server could not start; its log explains it as incident "
            f"{self._kept_from_starting[1]}. Try again in {RETRY_AFTER} seconds."
        )
        return oauth_error_response(TemporarilyUnavailable(Reason.NOT_STARTED, description))

    def log_incident(self, scope: Scope, error: Exception, reason: Reason = Reason.INTERNAL_ERROR) -> str:
        """Log what nobody foresaw, and return the id under which the log explains it."""
        incident = incident_id(self._random_bytes)
        endpoint = endpoint_of(scope)
        note_reason(scope, reason)
        logger.error(
            "incident %s at %s",
            incident,
            endpoint,
            exc_info=ScrubbedTraceback(error),
            extra={"reason": reason.value, "endpoint": endpoint, "incident": incident},
        )
        return incident

    def _page_of(self, request: Request, error: HTTPException) -> Response | None:
        """Return the page for a browser that a person sent where nothing is, or to what takes forms only."""
        told = _FOR_PEOPLE.get((error.status_code, error.detail))
        if self._error_page is None or told is None or not _navigates(request):
            return None
        title, message, reason = told
        page = self._error_page(request, status=error.status_code, title=title, message=message, reason=reason)
        page.headers.update(error.headers or {})
        return page

    def _incident_response(self, request: Request, incident: str) -> Response:
        description = Phrase(
            "Something went wrong on the server; its log explains it as incident %(incident)s.", incident=incident
        )
        if self._error_page is not None and _navigates(request):
            return self._error_page(
                request,
                status=500,
                title=Phrase("Something went wrong"),
                message=description,
                reason=Reason.INTERNAL_ERROR,
            )
        return oauth_error_response(ServerError(Reason.INTERNAL_ERROR, str(description)))


def _navigates(request: Request) -> bool:
    # `Accept` does not tell browsers from programs: some HTTP libraries name text/html first.
    return request.headers.get("sec-fetch-dest") == "document"


def _headers(request: Request, error: OAuthError) -> Mapping[str, str]:
    if isinstance(error, BodyTooSlow):
        # The rest of the body may still come, and is not to be taken for a request.
        return {"Connection": "close"}
    if isinstance(error, UseDpopNonce):
        return {"DPoP-Nonce": error.nonce}
    has_credentials = "authorization" in request.headers
    if isinstance(error, InvalidToken):
        # Without credentials there is no error to report (RFC 6750 section 3.1).
        reported = ', error="invalid_token"' if has_credentials else ""
        return {"WWW-Authenticate": f'Bearer realm="registration"{reported}'}
    # RFC 6749 section 5.2: answer in the scheme that was tried. To a client that tried none, a challenge would say
    # nothing, and would make browsers ask their user for a password.
    return {"WWW-Authenticate": _BASIC_CHALLENGE} if has_credentials and isinstance(error, InvalidClient) else {}


def _http_exception_response(error: HTTPException) -> Response:
    advice = _ADVICE.get((error.status_code, error.detail))
    # A cache may keep a 404 unless it is told not to (RFC 9110 section 15.5.5); a route of the user's says for itself.
    own = {"X-Content-Type-Options": "nosniff"} if advice is None else NO_STORE
    headers = {**(error.headers or {}), **own}
    if error.status_code in _WITHOUT_BODY:
        return Response(status_code=error.status_code, headers=headers)
    return json_response(advice or {"detail": error.detail}, error.status_code, headers)


def install_error_handlers(app: Starlette, errors: ErrorResponses) -> None:
    """Have the routes that a user adds to `app` answer errors as all others do.

    Call it before other middleware is added: what is added later lies outside and sees the errors as responses, so
    that CORS headers stand on a 500 too.
    """

    async def handle(request: Request, error: Exception) -> Response:
        return errors.response(request, error)

    # The framework answers this one itself, unless told otherwise.
    app.add_exception_handler(HTTPException, handle)
    app.add_middleware(_CatchAll, errors=errors)


@dataclass(frozen=True, slots=True)
class _CatchAll:
    """Answers what the framework does not.

    Starlette's own place for this lies outside of all middleware, and raises the exception again for the server to log
    with whatever its message holds.
    """

    app: ASGIApp
    errors: ErrorResponses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 - this is the place where everything ends
            if started:
                # Half an answer is out. Only the server can cut the connection, and an exception makes it do so; it
                # logs what it catches, so it gets one that quotes nothing.
                incident = self.errors.log_incident(scope, error)
                raise AnswerCutShort(f"the answer was cut short, see incident {incident}") from None
            await self.errors.response(Request(scope), error)(scope, receive, send)
