"""HTML pages: rendering, page errors, redirects of the pages."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response

from gatepost.identity.asking import LoginProviderFailed
from gatepost.identity.password_workers import PasswordWorkersBusy
from gatepost.identity.provider import LoginUnavailable
from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import OAuthError, TooManyRequests
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.pages.branding import Branding
from gatepost.web.pages.headers import page_headers
from gatepost.web.pages.page_templates import PageTemplates
from gatepost.web.pages.static_files import StaticFiles
from gatepost.web.pages.times import in_words
from gatepost.web.site.errors import RETRY_AFTER, ScrubbedTraceback, log_refusal, scrubbed_traceback
from gatepost.web.site.request_body import BodyTooLarge, BodyTooSlow
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, Words, words_of

if TYPE_CHECKING:
    from gatepost.web.pages.own_pages import OwnPages

_log = logging.getLogger(__name__)

_TEMPLATES_OUTSIDE_FLOW: Final = frozenset(
    {
        "setup.html",
        "setup_done.html",
        "logged_in.html",
        "account.html",
        "account_link.html",
        "password.html",
        "second_step.html",
        "second_step_setup.html",
        "recovery_codes.html",
        "passkeys.html",
        "confirm.html",
        "done.html",
    }
)

_OWN_PATH: Final = re.compile(r'\s(?:action|data-action|data-challenge|href|src)="(?=/(?!/))')
"""Where a path of ours begins in a page. What is not markup of a template has no plain quotes: it is escaped."""


@dataclass(frozen=True, slots=True)
class PageLink:
    """A way on from a page: one of our own paths and the words for it."""

    path: str
    words: Words


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What the script of a page needs to know to ask the browser for a passkey."""

    kind: Literal["create", "get"]
    challenge: str
    """The path where a challenge is to be had."""
    action: str
    """The path that takes the browser's answer, with the CSRF token of the page."""
    fills_fields: bool = False
    """Whether passkeys are also offered where the browser suggests what to type."""


class PageRefusal(Exception):
    """A page's request is refused: what the person is told, and the reason that the log is told.

    Title and message are ours alone; nothing that the request brought with it may stand in them.
    """

    def __init__(
        self,
        reason: Reason,
        *,
        told: Reason | None = None,
        title: Phrase,
        message: Words,
        detail: str | None = None,
        status: int = 400,
        link: PageLink | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(f"{title} [{reason.value}]")
        self.reason = reason
        self.told = told or reason
        """What the page shows: a more general reason where the true one would tell a stranger something."""
        self.title = title
        self.message = message
        self.detail = detail
        """What a developer should know, in English."""
        self.status = status
        self.link = link
        self.headers = headers


class Pages:
    """Renders pages.

    Args:
        server_name: shown at the top of every page.
        secure: whether the public URL is https.
        branding: what the operator puts on them.
        own: templates and catalogues of the operator's, which count before ours.
        random_bytes: where the ids of refusals come from.

    Raises:
        OwnPagesRefused: a template of the operator's would fail when it is used.
    """

    def __init__(
        self,
        *,
        server_name: str,
        secure: bool,
        branding: Branding | None = None,
        own: OwnPages | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._random_bytes = random_bytes
        self.server_name = server_name
        self._secure = secure
        self._templates = PageTemplates(server_name=server_name, branding=branding or Branding(), own=own)

    @property
    def static_files(self) -> StaticFiles:
        """What the pages refer to."""
        return self._templates.static_files

    def render(
        self,
        request: HTTPConnection,
        template: str,
        *,
        status: int = 200,
        passkeys: Ceremony | None = None,
        **context: Any,
    ) -> Response:
        """Return the page that `template` (a file name in `web/pages/templates/`) makes of `context`.

        A page that asks for `passkeys` runs our script; no other runs any.

        It is in the language that the browser likes best of those that there are. Texts of ours in `context` are
        phrases (`gatepost.wording`).
        """
        language = self._templates.language_for(",".join(request.headers.getlist("accept-language")))
        html = self._templates.render(template, language, {**context, "passkeys": passkeys})
        if base := request.scope.get("root_path"):
            html = _OWN_PATH.sub(rf"\g<0>{base}", html)
        headers = page_headers(
            secure=self._secure,
            in_flow=template not in _TEMPLATES_OUTSIDE_FLOW and not template.startswith("admin_"),
            asks_for_passkeys=passkeys is not None,
        )
        return HTMLResponse(html, status, {**headers, "Content-Language": language, "Vary": "Accept-Language"})

    def refuse(
        self, request: HTTPConnection, template: str, *, status: int, reason: Reason, **context: Any
    ) -> Response:
        """Return a page that says no, and log it; the page is given the `refusal_id` that the log has, too."""
        refusal_id = self._random_bytes(4).hex()
        log_refusal(request, error=f"page {status}", reason=reason, refusal_id=refusal_id)
        return self.render(request, template, status=status, refusal_id=refusal_id, **context)

    def error_page(
        self,
        request: HTTPConnection,
        *,
        status: int,
        title: Words,
        message: Words,
        reason: Reason,
        detail: str | None = None,
        told: Reason | None = None,
        link: PageLink | None = None,
    ) -> Response:
        """Return an error page and log it. For who looks after the server, the reason stands at the foot, and an id.

        `message` is one or two sentences for a person who is no programmer: what happened, what to do. `told` stands
        there in place of the reason where that would tell a stranger something.
        """
        return self.refuse(
            request,
            "error.html",
            status=status,
            reason=reason,
            reason_code=(told or reason).value,
            title=title,
            message=message,
            detail=detail,
            link=link,
        )

    def redirect(self, location: str) -> Response:
        """Return a 303 (RFC 9110 section 15.4.4: the browser follows with GET) to our own path or to a redirect URI.

        `location` is sent byte for byte: a custom scheme or an unusual query must arrive as the client registered it.
        """
        if not location.isascii() or not location.isprintable() or " " in location:
            raise ValueError("a Location header holds printable ASCII without spaces")
        return Response(
            status_code=303, headers={"Location": location, **page_headers(secure=self._secure, in_flow=True)}
        )

    def protect(self, response: Response) -> Response:
        """Add the headers of our pages to a response that a login provider made, where it has none of its own."""
        for name, value in page_headers(secure=self._secure, in_flow=True).items():
            response.headers.setdefault(name, value)
        return response

    def routes(self, *routes: Route) -> tuple[Route, ...]:
        """Return routes of pages, which answer whatever they refuse with a page.

        `errors.py` answers the same exceptions with a page or JSON, whichever the caller seems to want. On a page's own
        URL there is nothing to guess: some web views send none of the headers that tell.
        """
        # Loading one may begin a session, log in where the provider knows who it is, or approve.
        return tuple(replace(route, error_response=self.error_response, has_effects=True) for route in routes)

    def error_response(self, request: HTTPConnection, error: Exception) -> Response | None:
        """Return the page that answers `error`; None where it is none that pages know.

        What may go well a moment later has a link to the same page: who sent a form finds it there again.
        """
        refusal = error if isinstance(error, PageRefusal) else _refusal_of(error)
        if refusal is None:
            return None
        response = self.error_page(
            request,
            status=refusal.status,
            title=refusal.title,
            message=refusal.message,
            detail=refusal.detail,
            reason=refusal.reason,
            told=refusal.told,
            link=refusal.link or (_again(request) if "Retry-After" in refusal.headers else None),
        )
        response.headers.update(refusal.headers)
        return response


def _again(request: HTTPConnection) -> PageLink:
    query: bytes = request.scope["query_string"]
    return PageLink(request.scope["path"] + (f"?{query.decode('latin-1')}" if query else ""), Phrase("Try again"))


def _refusal_of(error: Exception) -> PageRefusal | None:
    """Return what a person is told about an error that pages know."""
    title, headers, detail = Phrase("This request was refused"), {}, None
    match error:
        case TooManyRequests():
            title = Phrase("Please wait a moment")
            message = Phrase("There were too many tries. Try again in %(time)s.", time=in_words(error.retry_after))
            headers = {"Retry-After": str(error.retry_after)}
        case BodyTooLarge():
            title = Phrase("That is too much text")
            message = Phrase("The form was longer than this server reads. Go back and try again with less.")
        case BodyTooSlow():
            title = Phrase("That took too long")
            message = Phrase("The form did not arrive in time. Go back and send it again.")
            # The rest of the form may still come, and is not to be taken for a request.
            headers = {"Connection": "close"}
        case OAuthError():
            message = Phrase("What this browser sent is not what the page takes. Go back and try again.")
            detail = error.description
        case StoreUnavailable():
            _log.error("the store cannot answer a page\n%s", scrubbed_traceback(error))
            return _later(
                Reason.STORE_UNAVAILABLE,
                Phrase("This server cannot reach its storage just now. Nothing is lost: load this page again."),
            )
        case LoginUnavailable():
            return login_unavailable(error)
        case LoginProviderFailed():
            cause = error.__cause__
            _log.error("the login provider failed: %s", error, exc_info=cause and ScrubbedTraceback(cause))
            return PageRefusal(
                Reason.LOGIN_PROVIDER_FAILED,
                status=500,
                title=Phrase("The login of this server does not work"),
                message=Phrase(
                    "That is no fault of yours. Tell the people who run this server; its log says what is wrong."
                ),
            )
        case PasswordWorkersBusy():
            return _later(
                Reason.PASSWORD_WORKERS_BUSY,
                Phrase("Very many people are logging in just now. Go back and send the form again."),
            )
        case _:
            return None
    return PageRefusal(error.reason, status=error.status, title=title, message=message, detail=detail, headers=headers)


def login_unavailable(failure: LoginUnavailable, *, link: PageLink | None = None) -> PageRefusal:
    """Return what a person is told when a login provider, or who says who may enter, cannot know now."""
    return PageRefusal(
        Reason.LOGIN_PROVIDER_UNAVAILABLE,
        status=503,
        title=Phrase("You cannot be logged in just now"),
        message=Phrase("%(failure)s Nothing is lost: try again in a moment.", failure=words_of(failure)),
        link=link,
        headers={"Retry-After": str(RETRY_AFTER)},
    )


def _later(reason: Reason, message: Phrase) -> PageRefusal:
    title = Phrase("Please try again in a moment")
    return PageRefusal(reason, status=503, title=title, message=message, headers={"Retry-After": str(RETRY_AFTER)})
