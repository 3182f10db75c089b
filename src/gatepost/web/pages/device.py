"""GET and POST /oauth/device: the page where the code of a device is typed in (RFC 8628 sections 3.3 and 5).

It is for people who are logged in, so that strangers cannot try codes, and a wrong code counts against its person. A
code that stands in the address is shown and never taken for the person's word: they have to say that their device shows
it. What follows is the question of the consent page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.device_authorization import (
    DeviceAuthorization,
    device_transaction,
    read_user_code,
    shown_user_code,
)
from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.limits import USER_CODES_OF_ADDRESS, USER_CODES_OF_PERSON, Rate
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.device_authorizations import DeviceAuthorizationStore
from gatepost.stores.contract.transactions import TransactionStore
from gatepost.stores.contract.users import User
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import check_csrf_token, check_origin, csrf_token, read_form, without_session
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.pending_request import DEVICE, consent_path, device_path, login_path, query
from gatepost.web.pages.rendering import PageLink
from gatepost.web.site import api_description as api
from gatepost.web.site.client_address import UNKNOWN, ClientAddresses, limit_key
from gatepost.web.site.limits import PAGE_LIMIT, Limits
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase

_PURPOSE: Final = "device"
_LONGEST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePage:
    """The page for user codes."""

    completion: LoginCompletion
    """Sessions, pages and audit trail are the login's."""
    devices: DeviceAuthorizationStore
    transactions: TransactionStore
    """Where the question waits for its answer."""
    limits: Limits
    addresses: ClientAddresses
    transaction_lifetime: int
    """Seconds in which the person has to decide."""
    now: Callable[[], int]
    random_bytes: RandomBytes

    def routes(self) -> tuple[Route, ...]:
        return self.completion.pages.routes(
            Route("GET", DEVICE, self.get, _SHOW, limit=PAGE_LIMIT),
            Route("POST", DEVICE, self.post, _SUBMIT, limit=PAGE_LIMIT),
        )

    async def get(self, request: Request) -> Response:
        # 1. Somebody is logged in; the code in the address waits for them.
        user_code = read_user_code(query(request).get("user_code", ""))
        session = await self.completion.browser_sessions.current(request)
        if session is None or session.user is None:
            return self.completion.pages.redirect(login_path(then="device", user_code=user_code))

        # 2. Show the code, or ask for it. Nothing is looked up: whoever follows a link has typed nothing.
        return self._form(request, session, session.user, user_code=user_code)

    async def post(self, request: Request) -> Response:
        # 1. The form is our own page's, and somebody is logged in.
        completion = self.completion
        check_origin(request, origin=completion.origin)
        form = await read_form(request)
        typed = form.get("user_code", "")
        user_code = read_user_code(typed)
        here = device_path(user_code)
        session = await completion.browser_sessions.current(request)
        if session is None:
            return without_session(request, completion.browser_sessions, completion.pages, path=here)
        check_csrf_token(
            session,
            form.get("csrf_token"),
            purpose=_PURPOSE,
            transaction_id=None,
            retry=PageLink(here, Phrase("Go on")),
        )
        if session.user is None:
            return completion.pages.redirect(login_path(then="device", user_code=user_code))

        # 2. Some device waits under this code. Every guess passes here, and is counted before it is looked at.
        device = None if user_code is None else await self._waiting(request, session.user, user_code)
        if device is None:
            return self._form(request, session, session.user, typed=typed, is_wrong=True)

        # 3. The question is this browser's own from now on, and the consent page asks it.
        transaction = device_transaction(
            device,
            transaction_id=identifier("transaction_", self.random_bytes),
            browser_id=session.record.browser_id,
            now=self.now(),
            lifetime=self.transaction_lifetime,
        )
        await self.transactions.begin_transaction(transaction)
        return completion.pages.redirect(consent_path(transaction.transaction_id))

    async def _waiting(self, request: Request, user: User, user_code: str) -> DeviceAuthorization | None:
        """Return the request that waits under a code. A right code is not counted.

        Raises:
            TooManyRequests: there were too many wrong ones.
        """
        uses = self._uses(request, user)
        try:
            await self.limits.admit_exactly(uses)
        except TooManyRequests as refusal:
            self._note(request, user, refusal.reason)
            raise
        device = await self.devices.find_user_code(user_code, now=self.now())
        if device is None:
            self._note(request, user, Reason.USER_CODE_UNKNOWN)
        else:
            await self.limits.give_back(uses)
        return device

    def _uses(self, request: Request, user: User) -> Mapping[str, Rate]:
        of_person = {f"device:person:{user.subject}": USER_CODES_OF_PERSON}
        address = limit_key(self.addresses.of(request.scope))
        return of_person if address == UNKNOWN else {f"device:address:{address}": USER_CODES_OF_ADDRESS} | of_person

    def _note(self, request: Request, user: User, reason: Reason) -> None:
        # Behind, and in a bounded queue: an attacker can cause as many of these as it likes.
        self.completion.audit.note(
            request, AuditEvent.DEVICE_LOGIN, Outcome.REFUSED, reason=reason, subject=user.subject
        )

    def _form(
        self,
        request: Request,
        session: OpenSession,
        user: User,
        *,
        user_code: str | None = None,
        typed: str = "",
        is_wrong: bool = False,
    ) -> Response:
        completion = self.completion
        switch = login_path(then="device", user_code=user_code, switch_account=True)
        context: dict[str, Any] = {
            "action": DEVICE,
            "csrf_token": csrf_token(session, purpose=_PURPOSE, transaction_id=None),
            "user_code": None if user_code is None else shown_user_code(user_code),
            "typed": typed[:_LONGEST_SHOWN],
            "problem": None,
            "user": user.name,
            "switch_path": switch if completion.provider.can_switch_account else None,
        }
        if not is_wrong:
            return completion.pages.render(request, "device.html", **context)
        context["problem"] = Phrase(
            "No device waits under this code. Type it as your device shows it now, or begin again there."
        )
        return completion.pages.refuse(request, "device.html", status=422, reason=Reason.USER_CODE_UNKNOWN, **context)


_SHOW = api.Operation(
    "show_device",
    "Ask for the code of a device (RFC 8628)",
    tag="Pages",
    parameters=[api.in_query("user_code", "The code, which is shown to be compared.")],
    responses={
        200: api.page("The form."),
        303: api.moved("On to the login."),
        **api.PAGE_FLOODED,
        **api.PAGE_UNAVAILABLE,
    },
)
_SUBMIT = api.Operation(
    "submit_device",
    "Say which code the device shows",
    tag="Pages",
    request_body=api.page_form({"user_code": {**api.TEXT, "description": "In any case, with or without the dash."}}),
    responses={
        303: api.moved("On to the question what the device may do, or to the login."),
        **api.PAGE_FORM_REFUSALS,
        422: api.page("The form again: no device waits under this code."),
        **api.PAGE_FLOODED,
    },
)
