"""The list of people, which is where the admin pages begin."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.display_text import display_text
from gatepost.stores.contract.administration import PersonListing
from gatepost.stores.contract.users import LOCAL
from gatepost.web.pages.admin.listing import PAGE, cut, path
from gatepost.web.pages.admin.table import PEOPLE, PERSON, AdminPages, Visit
from gatepost.web.pages.pending_request import query
from gatepost.web.pages.times import day
from gatepost.wording.phrase import Words

_LONGEST_SEARCH: Final = 200


async def show_start(admin: AdminPages, request: Request) -> Response:
    """Go on to the list of people."""
    visit = await admin.visit(request)
    return visit if isinstance(visit, Response) else admin.redirect(PEOPLE)


async def show_people(admin: AdminPages, request: Request) -> Response:
    """Show the list."""
    visit = await admin.visit(request)
    return visit if isinstance(visit, Response) else await people_page(admin, visit)


async def people_page(admin: AdminPages, visit: Visit, *, problem: Words | None = None, typed: str = "") -> Response:
    """Return the list; `problem` is what was wrong with a name that was `typed` for an invitation."""
    # 1. One page: who has this identifier, or whose name begins like that.
    parameters = {} if problem is not None else query(visit.request)
    search, administration = parameters.get("search", "")[:_LONGEST_SEARCH], admin.store.administration
    last = await administration.find_person(parameters["after"]) if "after" in parameters else None
    found = await administration.find_person(search) if search else None
    rows = (
        [found]
        if found is not None
        else await administration.list_people(
            name_begins=search, after=None if last is None else last.place, limit=PAGE + 1
        )
    )
    people, has_more = cut(rows)

    # 2. Show it.
    return admin.render(
        visit,
        "admin_people.html",
        status=200 if problem is None else 422,
        people=[_row(admin, one) for one in people],
        search=search,
        next_path=path(PEOPLE, search=search, after=people[-1].user.subject) if has_more else None,
        first_path=None if last is None else path(PEOPLE, search=search),
        can_invite=admin.has_accounts,
        problem=problem,
        typed=typed,
        people_path=PEOPLE,
    )


def _row(admin: AdminPages, listed: PersonListing) -> dict[str, Any]:
    user = listed.user
    return {
        "path": path(PERSON, subject=user.subject),
        "name": display_text(user.name) or user.subject,
        "issuer": None if user.issuer == LOCAL else user.issuer,
        "roles": sorted(admin.roles.of(user)),
        "created": day(user.created_at),
        "last_login": None if listed.last_login_at is None else day(listed.last_login_at),
        "is_disabled": user.disabled_at is not None,
    }
