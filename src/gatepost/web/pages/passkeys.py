"""/oauth/account/passkeys: a person's passkeys: add, rename, remove.

Adding and removing ask for a login that is not long ago. Every account that has passkeys has a password, too, so
removing the last one shuts nobody out. Where the server demands a second step, the first passkey may be added in its
place, as a step of a login by a password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.passkeys import (
    HANDLE_BYTES,
    NewPasskey,
    PasskeyRefused,
    RelyingParty,
    check_creation,
    creation_options,
)
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.passkeys import Passkey, PasskeyAddition, PasskeyStore
from gatepost.stores.contract.users import User
from gatepost.web.pages.account import has_password
from gatepost.web.pages.account_form import submitted_form
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import check_origin, csrf_token
from gatepost.web.pages.login_completion import BrowserLogin, LoginCompletion
from gatepost.web.pages.login_purpose import LogIn
from gatepost.web.pages.passkey_ceremonies import CHALLENGE, PasskeyCeremonies
from gatepost.web.pages.pending_request import ACCOUNT, SECOND_STEP, login_path, query
from gatepost.web.pages.recent_login import PASSKEYS, confirm_path, is_recent
from gatepost.web.pages.rendering import Ceremony, PageLink, PageRefusal
from gatepost.web.pages.required_second_step import RequiredSecondStep
from gatepost.web.pages.times import day
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase, Words

_PURPOSE: Final = "passkeys"
_BEGIN: Final = f"{PASSKEYS}/challenge"
_RENAME: Final = f"{PASSKEYS}/rename"
_REMOVE: Final = f"{PASSKEYS}/remove"
_CONFIRM: Final = confirm_path("passkeys")
_UNNAMED: Final = "Passkey"
"""What one is called whose name has nothing in it that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeysPage:
    """The page; only for servers with local accounts."""

    completion: LoginCompletion
    """Sessions, pages and audit trail are the login's."""
    passkeys: PasskeyStore
    ceremonies: PasskeyCeremonies | None
    """None where browsers have no passkeys: those of other hosts can be renamed and removed all the same."""
    required: RequiredSecondStep

    def routes(self) -> tuple[Route, ...]:
        pages = self.completion.pages
        page = pages.routes(
            Route("GET", PASSKEYS, self.get, _SHOW_OPERATION, limit=PAGE_LIMIT),
            Route("POST", _RENAME, self.rename, _RENAME_OPERATION),
            Route("POST", _REMOVE, self.remove, _REMOVE_OPERATION),
        )
        if self.ceremonies is None:
            return page
        adding = pages.routes(
            Route("POST", _BEGIN, self.challenge, _BEGIN_OPERATION, limit=PAGE_LIMIT),
            Route("POST", PASSKEYS, self.add, _ADD_OPERATION, limit=PAGE_LIMIT),
        )
        return (*page, *adding)

    async def get(self, request: Request) -> Response:
        session = await self.completion.browser_sessions.current(request)
        if session is not None and session.password_only is not None:
            return await self._first(request, session, session.password_only)
        if session is None or session.user is None:
            return self.completion.pages.redirect(login_path())
        if not has_password(session.user):
            return self.completion.pages.redirect(ACCOUNT)
        return await self._page(request, session, session.user)

    async def _first(
        self, request: Request, session: OpenSession, user: User, *, problem: Words | None = None
    ) -> Response:
        """Return the page where somebody adds their first passkey, as a step of a login."""
        purpose, pages = self.completion.purpose_of(query(request)), self.completion.pages
        elsewhere = await self.required.not_at_login(session, user, purpose)
        if elsewhere is not None or self.ceremonies is None:
            return elsewhere or pages.redirect(purpose.at(SECOND_STEP))
        return pages.render(
            request,
            "first_passkey.html",
            status=200 if problem is None else 422,
            csrf_token=csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            new_name=f"{_UNNAMED} 1",
            problem=problem,
            passkeys=Ceremony("create", _BEGIN, purpose.at(PASSKEYS)),
            second_step_path=purpose.at(SECOND_STEP),
        )

    async def challenge(self, request: Request) -> Response:
        # 1. The script is our own page's, and somebody has logged in not long ago.
        completion, ceremonies = self.completion, self.ceremonies
        check_origin(request, origin=completion.origin)
        session = await completion.browser_sessions.current(request)
        user = None if session is None else session.user or session.password_only
        if ceremonies is None or session is None or user is None or not has_password(user):
            return completion.pages.redirect(login_path())
        if not is_recent(session, now=completion.now()):
            raise PageRefusal(
                Reason.LOGIN_NOT_RECENT,
                status=403,
                title=Phrase("Confirm that it is you"),
                message=Phrase("You logged in some time ago. Nothing was changed."),
                link=PageLink(_CONFIRM, Phrase("Go on")),
            )

        if session.user is None:
            elsewhere = await self.required.not_at_login(session, user, completion.purpose_of(query(request)))
            if elsewhere is not None:
                return elsewhere

        # 2. A challenge for a passkey of theirs; whoever adds it has to be the same person.
        known = await self.passkeys.list_passkeys(user.subject)
        here = [passkey for passkey in known if passkey.rp_id == ceremonies.party.rp_id]
        handle = here[0].user_handle if here else completion.random_bytes(HANDLE_BYTES)
        options = partial(_options, ceremonies.party, user, handle, here)
        begun = BrowserLogin(completion, request, session, PASSKEYS)
        return await ceremonies.begin(begun, options, subject=user.subject, user_handle=handle.hex())

    async def add(self, request: Request) -> Response:
        # 1. The form is our own page's, and the browser was asked for a passkey of who is logged in.
        completion, ceremonies = self.completion, self.ceremonies
        purpose = completion.purpose_of(query(request))
        submitted = await self._submitted(request, purpose)
        if isinstance(submitted, Response):
            return submitted
        session, user, form = submitted
        at_login = session.user is None
        kept = await BrowserLogin(completion, request, session, PASSKEYS).take(form.get("state"))
        if ceremonies is None or kept is None or kept["subject"] != user.subject:
            return completion.pages.redirect(purpose.at(PASSKEYS))

        # 2. It is one, and nobody's yet.
        problem = await self._keep(request, user, kept, form, ceremonies.party, is_first=at_login)
        if problem is not None:
            shown = self._first if at_login else self._page
            return await shown(request, session, user, problem=problem)

        # 3. Who was not let in by the password alone is now: the authenticator has verified its user.
        if at_login:
            return await completion.finish(request, session, user, purpose, has_second_factor=True)
        return completion.pages.redirect(PASSKEYS)

    async def _submitted(self, request: Request, purpose: LogIn) -> tuple[OpenSession, User, dict[str, str]] | Response:
        """Return who adds one and what their browser sent, or where to go on who cannot now."""
        submitted = await submitted_form(request, self.completion, purpose=_PURPOSE, at_login=True)
        if isinstance(submitted, Response):
            return submitted
        session, user, _ = submitted
        if session.user is None:
            return await self.required.not_at_login(session, user, purpose) or submitted
        is_fresh = is_recent(session, now=self.completion.now())
        return submitted if is_fresh else self.completion.pages.redirect(_CONFIRM)

    async def _keep(
        self,
        request: Request,
        user: User,
        kept: Mapping[str, str],
        form: Mapping[str, str],
        party: RelyingParty,
        *,
        is_first: bool,
    ) -> Phrase | None:
        """Keep what the browser made; return what is wrong with it, if anything."""
        challenge = bytes.fromhex(kept["challenge"])
        check = partial(check_creation, party, form.get("credential", ""), challenge=challenge)
        try:
            made = await asyncio.to_thread(check)
        except PasskeyRefused:
            await self.completion.audit.record(
                request,
                AuditEvent.PASSKEY_ADDED,
                Outcome.REFUSED,
                reason=Reason.PASSKEY_INVALID,
                subject=user.subject,
            )
            return Phrase("The browser's answer was no passkey that works here. Try again, or with another device.")
        passkey = self._passkey(made, user, kept["user_handle"], party, form.get("name", ""))
        added = await self.passkeys.add_passkey(passkey, is_first=is_first)
        if added is PasskeyAddition.NOT_FIRST:
            return Phrase("Your account got a passkey or a second step meanwhile. Log in with it.")
        if added is PasskeyAddition.TOO_MANY:
            return Phrase("You have as many passkeys as this server keeps. Remove one that you do not need.")
        if added is PasskeyAddition.KNOWN:
            return Phrase("This passkey has been added already.")
        await self._record(request, AuditEvent.PASSKEY_ADDED, user)
        return None

    async def rename(self, request: Request) -> Response:
        submitted = await self._named(request)
        if isinstance(submitted, Response):
            return submitted
        _, user, form, passkey = submitted
        name = display_text(form.get("name", ""))
        # Without a name it keeps the one that it has.
        is_renamed = (
            passkey is not None
            and name not in {"", passkey.name}
            and await self.passkeys.rename_passkey(user.subject, passkey.credential_id, name)
        )
        if is_renamed:
            await self._record(request, AuditEvent.PASSKEY_RENAMED, user)
        return self.completion.pages.redirect(PASSKEYS)

    async def remove(self, request: Request) -> Response:
        submitted = await self._named(request)
        if isinstance(submitted, Response):
            return submitted
        session, user, _, passkey = submitted
        if not is_recent(session, now=self.completion.now()):
            return self.completion.pages.redirect(_CONFIRM)
        if passkey is None:
            return self.completion.pages.redirect(PASSKEYS)
        await self.required.check_removing(user, passkey)
        keeps = self.required.keeps_passkey_at(user)
        if await self.passkeys.remove_passkey(user.subject, passkey.credential_id, keeps_passkey_at=keeps):
            await self._record(request, AuditEvent.PASSKEY_REMOVED, user)
        return self.completion.pages.redirect(PASSKEYS)

    async def _named(self, request: Request) -> tuple[OpenSession, User, dict[str, str], Passkey | None] | Response:
        """Return whose form this is, and which of their own passkeys it names."""
        submitted = await submitted_form(request, self.completion, purpose=_PURPOSE)
        if isinstance(submitted, Response):
            return submitted
        session, user, form = submitted
        own = await self.passkeys.list_passkeys(user.subject)
        return session, user, form, next((each for each in own if each.number == form.get("passkey")), None)

    def _passkey(self, made: NewPasskey, user: User, handle: str, party: RelyingParty, name: str) -> Passkey:
        return Passkey(
            credential_id=made.credential_id,
            subject=user.subject,
            user_handle=bytes.fromhex(handle),
            rp_id=party.rp_id,
            name=display_text(name) or _UNNAMED,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=made.transports,
            created_at=self.completion.now(),
        )

    async def _record(self, request: Request, event: AuditEvent, user: User) -> None:
        await self.completion.audit.record(request, event, subject=user.subject)

    async def _page(
        self, request: Request, session: OpenSession, user: User, *, problem: Words | None = None
    ) -> Response:
        pages, party = self.completion.pages, None if self.ceremonies is None else self.ceremonies.party
        own = await self.passkeys.list_passkeys(user.subject)
        may_change = is_recent(session, now=self.completion.now())
        is_asking = party is not None and may_change
        return pages.render(
            request,
            "passkeys.html",
            status=200 if problem is None else 422,
            back=ACCOUNT,
            csrf_token=csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            rows=[_row(each, party) for each in own],
            new_name=f"{_UNNAMED} {len(own) + 1}",
            problem=problem,
            confirm_path=None if may_change else _CONFIRM,
            works_here=party is not None,
            elsewhere=None if party is not None else _with_a_name(self.completion.origin),
            passkeys=Ceremony("create", _BEGIN, PASSKEYS) if is_asking else None,
            rename_path=_RENAME,
            remove_path=_REMOVE,
        )


def _options(party: RelyingParty, user: User, handle: bytes, known: list[Passkey], challenge: bytes) -> dict[str, Any]:
    return creation_options(party, user, challenge=challenge, user_handle=handle, known=known)


def _row(passkey: Passkey, party: RelyingParty | None) -> dict[str, Any]:
    return {
        "number": passkey.number,
        "name": passkey.name,
        "host": None if party is not None and passkey.rp_id == party.rp_id else passkey.rp_id,
        "created": day(passkey.created_at),
        "last_used": None if passkey.last_used_at is None else day(passkey.last_used_at),
    }


def _with_a_name(origin: str) -> str | None:
    """Return the same page where passkeys work, of a server that is reached on this computer by its address."""
    parts = urlsplit(origin)
    if parts.scheme != "http":
        return None
    return f"http://localhost{'' if parts.port is None else f':{parts.port}'}{parts.path}{PASSKEYS}"


_SHOW_OPERATION = api.Operation(
    "show_passkeys",
    "Show a person their passkeys",
    tag="Pages",
    responses={
        200: api.page("The passkeys of who is logged in."),
        303: api.moved("On to the login, or back to the account, which has no password here."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_BEGIN_OPERATION = api.Operation(
    "begin_passkey",
    "Begin to make a passkey",
    tag="Pages",
    responses={200: CHALLENGE, 303: api.moved("On to the login."), **api.PAGE_FORM_REFUSALS, **api.PAGE_FLOODED},
)
_ADD_OPERATION = api.Operation(
    "add_passkey",
    "Keep a passkey that the browser made",
    tag="Pages",
    request_body=api.page_form(
        {
            "name": api.text("What its person calls it."),
            "state": api.text("From the challenge."),
            "credential": api.text("What the browser returned, as JSON."),
        }
    ),
    responses={
        303: api.moved("Back to the page; or on to the login, or to show again who is there."),
        **api.PAGE_FORM_REFUSALS,
        422: api.page("The page, with what is wrong."),
        **api.PAGE_FLOODED,
    },
)
_WHICH = {"passkey": api.text("Which.")}
_BACK = {303: api.moved("Back to the page, whether or not there was such a passkey."), **api.PAGE_FORM_REFUSALS}
_RENAME_OPERATION = api.Operation(
    "rename_passkey",
    "Call a passkey otherwise",
    tag="Pages",
    request_body=api.page_form({**_WHICH, "name": api.TEXT}),
    responses=_BACK,
)
_REMOVE_OPERATION = api.Operation(
    "remove_passkey",
    "Forget a passkey",
    tag="Pages",
    request_body=api.page_form(_WHICH),
    responses=_BACK,
)
