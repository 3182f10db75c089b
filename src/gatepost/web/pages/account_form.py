"""Forms of people who are logged in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatepost.stores.contract.users import User
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import check_csrf_token, check_origin, read_form, without_session
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.pending_request import ACCOUNT, login_path
from gatepost.web.pages.rendering import PageLink
from gatepost.wording.phrase import Phrase


async def submitted_form(
    request: Request, completion: LoginCompletion, *, purpose: str, path: str = ACCOUNT, at_login: bool = False
) -> tuple[OpenSession, User, dict[str, str]] | Response:
    """Return whose form this is and what it holds, or where to go on when nobody is logged in any more.

    With `at_login` it may be that of somebody whose password alone does not suffice (`OpenSession.password_only`).

    Raises:
        PageRefusal: it comes from no page of ours, or from one of another session.
    """
    check_origin(request, origin=completion.origin)
    form = await read_form(request)
    session = await completion.browser_sessions.current(request)
    if session is None:
        return without_session(request, completion.browser_sessions, completion.pages, path=path)
    check_csrf_token(
        session,
        form.get("csrf_token"),
        purpose=purpose,
        transaction_id=None,
        retry=PageLink(path, Phrase("Your account")),
    )
    user = session.user or (session.password_only if at_login else None)
    return completion.pages.redirect(login_path()) if user is None else (session, user, form)
