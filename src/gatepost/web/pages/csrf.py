"""Protection of forms against foreign sites (OWASP: synchronizer token; Fetch standard; Fetch Metadata).

Two independent locks. The token: an HMAC under a key that only the browser's session secret yields, over what the form
is for and which authorization request it belongs to, so a token of one form opens no other and dies with its session.
The origin: what the browser itself says about where the POST comes from.
"""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.parameters import parse_parameters
from gatepost.oauth.reasons import Reason
from gatepost.tokens.opaque import base64url
from gatepost.web.pages.browser_session import BrowserSessions, OpenSession
from gatepost.web.pages.rendering import PageLink, PageRefusal, Pages
from gatepost.web.site.base_path import origin_of
from gatepost.web.site.request_body import media_type, read_body
from gatepost.wording.phrase import Phrase

_LONGEST_FORM = 16 * 1024  # bytes; the longest form of ours holds two passwords
_KEY_LABEL = b"gatepost csrf"


def csrf_token(session: OpenSession, *, purpose: str, transaction_id: str | None) -> str:
    """Return the token for one form of one session, and of one authorization request if the form belongs to any."""
    key = hmac.digest(session.secret.encode(), _KEY_LABEL, hashlib.sha256)
    # NUL cannot occur in a parameter, so no two pairs give the same message.
    message = f"{purpose}\0{transaction_id or ''}".encode()
    return base64url(hmac.digest(key, message, hashlib.sha256))


def check_csrf_token(
    session: OpenSession, presented: str | None, *, purpose: str, transaction_id: str | None, retry: PageLink
) -> None:
    """Refuse a form whose token is not the one that `csrf_token` gives.

    An honest form gets old when its browser logs in in another tab; `retry` is where a fresh one is to be had.
    """
    expected = csrf_token(session, purpose=purpose, transaction_id=transaction_id)
    if not hmac.compare_digest(expected.encode(), (presented or "").encode()):
        raise PageRefusal(
            Reason.CSRF_TOKEN_WRONG,
            status=403,
            title=Phrase("This page was out of date"),
            message=Phrase(
                "You may have logged in in another tab in the meantime. Nothing was changed; please try once more."
            ),
            link=retry,
        )


def check_origin(request: Request, *, origin: str) -> None:
    """Refuse a POST that comes from a page of somebody else.

    Browsers too old to send either header are tolerated: the token and the cookie's SameSite still stand. `null` is
    what a sandboxed or disguised page sends, so it is foreign. `origin` is our own: where our pages are, perhaps with a
    path, which browsers do not send.
    """
    own = origin_of(origin)
    is_foreign = any(sent != own for sent in request.headers.getlist("origin"))
    # `none` is the user's own doing (a reload, a restored tab); `same-site` is a neighbour on another host or port.
    crosses = any(site not in {"same-origin", "none"} for site in request.headers.getlist("sec-fetch-site"))
    if is_foreign or crosses:
        raise PageRefusal(
            Reason.ORIGIN_FOREIGN,
            status=403,
            title=Phrase("This did not come from our own page"),
            message=Phrase("For your safety nothing was done. Go back to your app and connect again."),
        )


def without_session(request: Request, browser_sessions: BrowserSessions, pages: Pages, *, path: str) -> Response:
    """Answer a form that came without a live session: no token of it can be checked, so it is not acted upon.

    When no cookie came at all it is refused: loading the form again, at `path`, helps only if cookies are accepted.
    """
    if browser_sessions.sent_a_cookie(request):
        # The session ended, or this is the second click of two and the first has renewed it. The page finds out.
        return pages.redirect(path)
    # Browsers drop a cookie when its time is over; on plain http, answering an app ends the session, too.
    raise PageRefusal(
        Reason.BROWSER_SESSION_MISSING,
        title=Phrase("This form can no longer be sent"),
        message=Phrase(
            "Nothing was done, because this browser did not send our cookie with it. The page was open for too long, "
            "or a request of an app was answered in another tab, or cookies were deleted, or this browser does not "
            "accept cookies from this site. If this page comes again, allow them."
        ),
        link=PageLink(path, Phrase("Open the form again")),
    )


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a submitted form; empty fields count as absent.

    Raises:
        InvalidRequest: the body is not a form, or sends a field twice.
        BodyTooLarge: it is longer than any form of ours.
        ClientDisconnected: the browser went away.
    """
    if media_type(request.scope["headers"]) != "application/x-www-form-urlencoded":
        raise InvalidRequest(Reason.CONTENT_TYPE_UNSUPPORTED, "This page takes its own form only.")
    return parse_parameters(await read_body(request.receive, limit=_LONGEST_FORM))
