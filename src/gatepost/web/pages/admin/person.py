"""One person: what is known of them, and what an administrator can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.roles import ADMIN as ADMIN_ROLE
from gatepost.identity.roles import is_role_name
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.administration import AdminOutcome
from gatepost.stores.contract.users import User
from gatepost.web.pages.account import has_password
from gatepost.web.pages.admin.listing import path, unknown
from gatepost.web.pages.admin.person_logins import end_tokens, remove_passkey, rename_passkey, shown_logins, unlink
from gatepost.web.pages.admin.shown_once import show_link_once
from gatepost.web.pages.admin.table import AUDIT, GRANTS, PEOPLE, PERSON, AdminPages, Visit
from gatepost.web.pages.pending_request import query
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.web.pages.times import day
from gatepost.wording.phrase import Phrase, Words

_MOST: Final = 50
"""Groups, sessions and apps on one page."""


async def show_person(admin: AdminPages, request: Request) -> Response:
    """Show one person."""
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit
    return await _page(admin, visit, query(request).get("subject", ""))


async def change_person(admin: AdminPages, request: Request) -> Response:
    """Do to a person what a button says."""
    # 1. The form is our own page's and an administrator's, and there is such a person.
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted
    user = await admin.store.users.find_user_by_subject(form.get("subject", ""))
    if user is None:
        raise unknown(PEOPLE)

    # 2. Do it, and go back; what is so already is fine.
    act = ACTS.get(form.get("do", ""))
    answer = None if act is None else await act(admin, visit, user, form)
    return answer or admin.redirect(path(PERSON, subject=user.subject))


async def _disable(admin: AdminPages, visit: Visit, user: User, _: Mapping[str, str]) -> None:
    outcome = await admin.store.administration.disable_person(
        user.subject, by=visit.administrator, now=admin.completion.now()
    )
    admin.on_revocation()
    await _keep(admin, visit, user, outcome, AuditEvent.USER_DISABLED)


async def _enable(admin: AdminPages, visit: Visit, user: User, _: Mapping[str, str]) -> None:
    outcome = await admin.store.administration.enable_person(user.subject, by=visit.administrator)
    await _keep(admin, visit, user, outcome, AuditEvent.USER_ENABLED)


async def _give_role(admin: AdminPages, visit: Visit, user: User, form: Mapping[str, str]) -> Response | None:
    role = form.get("role", "").strip()
    if not is_role_name(role):
        problem = Phrase(
            "A role is called by a lower-case letter, then letters, digits, - and _, 32 characters at most."
        )
        return await _page(admin, visit, user.subject, problem=problem, typed=role)
    outcome = await admin.store.administration.give_role(user.subject, role, by=visit.administrator)
    await _keep(admin, visit, user, outcome, AuditEvent.ROLE_GIVEN)
    return None


async def _take_role(admin: AdminPages, visit: Visit, user: User, form: Mapping[str, str]) -> None:
    outcome = await admin.store.administration.take_role(user.subject, form.get("role", ""), by=visit.administrator)
    admin.on_revocation()
    await _keep(admin, visit, user, outcome, AuditEvent.ROLE_TAKEN)


async def _end_sessions(admin: AdminPages, visit: Visit, user: User, _: Mapping[str, str]) -> None:
    # Of their own, the one in this browser stays.
    own = visit.session.record.session_fingerprint
    if await admin.store_of(visit).browser_sessions.end_sessions(user.subject, but=own):
        await admin.record(visit, AuditEvent.SESSIONS_ENDED, subject=user.subject)


async def _turn_second_step_off(admin: AdminPages, visit: Visit, user: User, _: Mapping[str, str]) -> None:
    if await admin.store_of(visit).second_steps.turn_off(user.subject):
        await admin.record(visit, AuditEvent.SECOND_STEP_TURNED_OFF, subject=user.subject)


async def _offer_reset(admin: AdminPages, visit: Visit, user: User, _: Mapping[str, str]) -> Response | None:
    link = await admin.links_of(visit).reset_password(user) if _can_reset(admin, user) else None
    if link is None:
        return None
    await admin.record(visit, AuditEvent.PASSWORD_RESET_OFFERED, subject=user.subject)
    return await show_link_once(admin, visit, link, for_whom=user.name, is_invitation=False)


ACTS: Final[Mapping[str, Callable[[AdminPages, Visit, User, Mapping[str, str]], Awaitable[Response | None]]]] = {
    "disable": _disable,
    "enable": _enable,
    "give_role": _give_role,
    "take_role": _take_role,
    "end_sessions": _end_sessions,
    "second_step_off": _turn_second_step_off,
    "reset": _offer_reset,
    "unlink": unlink,
    "rename_passkey": rename_passkey,
    "remove_passkey": remove_passkey,
    "end_tokens": end_tokens,
}
"""What a button of a person's page does, by its value."""


async def _keep(admin: AdminPages, visit: Visit, user: User, outcome: AdminOutcome, event: AuditEvent) -> None:
    """Put what was done in the audit trail.

    Raises:
        PageRefusal: nothing was done.
    """
    match outcome:
        case AdminOutcome.DONE:
            await admin.record(visit, event, subject=user.subject)
        case AdminOutcome.NOT_ADMIN:
            raise admin.refusal()
        case AdminOutcome.UNKNOWN:
            raise unknown(PEOPLE)
        case AdminOutcome.OWN:
            raise PageRefusal(
                Reason.ADMIN_OWN_ACCESS,
                status=409,
                title=Phrase("You cannot shut yourself out"),
                message=Phrase(
                    "Nothing was changed. Another administrator can do this, or whoever runs the server, at the "
                    "terminal."
                ),
                link=PageLink(path(PERSON, subject=user.subject), Phrase("Go back")),
            )
        case AdminOutcome.UNCHANGED:
            pass


def _can_reset(admin: AdminPages, user: User) -> bool:
    return admin.has_accounts and has_password(user) and user.disabled_at is None


async def _page(
    admin: AdminPages, visit: Visit, subject: str, *, problem: Words | None = None, typed: str = ""
) -> Response:
    store, now = admin.store, admin.completion.now()
    listed = await store.administration.find_person(subject)
    if listed is None:
        raise unknown(PEOPLE)
    user = listed.user
    by_rule = admin.roles.of(user) - frozenset(user.roles)
    sessions = await store.browser_sessions.list_sessions(subject, now=now, limit=_MOST)
    apps = await store.approvals.list_apps(subject, now=now, limit=_MOST)
    return admin.render(
        visit,
        "admin_person.html",
        status=200 if problem is None else 422,
        problem=problem,
        typed=typed,
        person={
            "name": display_text(user.name) or user.subject,
            "subject": user.subject,
            "username": user.username,
            "email": display_text(user.profile.email or ""),
            "email_verified": user.profile.email_verified,
            "groups": [display_text(group) for group in user.profile.groups[:_MOST]],
            "created": day(user.created_at),
            "last_login": None if listed.last_login_at is None else day(listed.last_login_at),
            "disabled": None if user.disabled_at is None else day(user.disabled_at),
            "second_step": user.second_step is not None,
            "sessions": len(sessions),
            "apps": len(apps),
        },
        **await shown_logins(admin, user),
        roles=[
            {"name": role, "can_go": (role, user.subject) != (ADMIN_ROLE, visit.user.subject)} for role in user.roles
        ],
        roles_by_rule=sorted(by_rule),
        known_roles=sorted({ADMIN_ROLE, *admin.roles.names} - set(user.roles)),
        is_self=user.subject == visit.user.subject,
        can_reset=_can_reset(admin, user),
        grants_path=path(GRANTS, subject=subject),
        audit_path=path(AUDIT, subject=subject),
        people_path=PEOPLE,
        person_path=PERSON,
    )
