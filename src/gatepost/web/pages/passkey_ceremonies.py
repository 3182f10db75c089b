"""Ceremonies with passkeys: a challenge for one browser, and what it signs (WebAuthn Level 3 sections 7.1 and 7.2).

Challenges are kept as logins under way are: for this browser, this purpose and ten minutes, and each is used once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gatepost.identity.passkeys import (
    CHALLENGE_BYTES,
    PasskeyAssertion,
    PasskeyRefused,
    RelyingParty,
    check_assertion,
    read_assertion,
)
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.passkeys import PasskeyStore, PasskeyUse, PasskeyView
from gatepost.stores.contract.users import User
from gatepost.web.pages.login_completion import BrowserLogin, LoginCompletion
from gatepost.web.pages.login_throttle import LoginThrottle
from gatepost.web.site import api_description as api

CHALLENGE: Final = api.json_answer(
    "What the script hands to the browser (WebAuthn Level 3 section 5.1.8 or 5.1.9).",
    api.record(
        {"state": api.text("Comes back with the answer."), "publicKey": {"type": "object"}},
        required=["state", "publicKey"],
    ),
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of an answer."""

    user: User | None
    """Whose passkey signed, and its user was verified; None when it does not count."""
    account: str
    """As what it was counted."""
    owner: str | None
    """The name of the account whose known browsers are counted by themselves."""
    reason: Reason = Reason.LOGIN_FAILED
    """Why it does not count, for the log; people read the same whatever it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyCeremonies:
    """The ceremonies of the pages at one origin."""

    completion: LoginCompletion
    passkeys: PasskeyStore
    party: RelyingParty
    throttle: LoginThrottle | None = None
    """Counts the answers, with the passwords that are tried from the same address."""

    async def begin(self, login: BrowserLogin, options: Callable[[bytes], dict[str, Any]], **kept: str) -> Response:
        """Return what the browser has to do with a fresh challenge, as JSON.

        Args:
            login: whose browser it is, and what goes on with the answer.
            options: makes the browser's options of the challenge.
            kept: comes back from `login.take`, with the `challenge`.
        """
        challenge = self.completion.random_bytes(CHALLENGE_BYTES)
        # In a thread, since the library behind it is imported at first use, which takes a third of a second.
        public_key = await asyncio.to_thread(options, challenge)
        state = await login.begin({**kept, "challenge": challenge.hex()})
        return self.completion.pages.protect(JSONResponse({"state": state, "publicKey": public_key}))

    async def prove(
        self,
        request: Request,
        sent: str,
        kept: Mapping[str, str],
        *,
        event: AuditEvent = AuditEvent.LOGIN,
        subject: str | None = None,
    ) -> Proof:
        """Return whose passkey signed the challenge.

        An unknown passkey, a wrong signature and a disabled account are one answer after the same work.

        Args:
            request: what the browser sent, for the counts and the audit trail.
            sent: the browser's answer.
            kept: what `login.take` returned.
            event: what is recorded when it does not count.
            subject: who has to have signed, where that is known before.

        Raises:
            TooManyRequests: it is one too many.
            LoginRefused: the person may not enter.
        """
        # 1. Which passkey is it said to be?
        try:
            assertion = await asyncio.to_thread(read_assertion, sent)
        except PasskeyRefused:
            assertion = None
        credential_id = b"" if assertion is None else assertion.credential_id
        view = await self.passkeys.find_passkey(credential_id)
        owner = None if view is None else view.user.username
        account = f"passkey {sha256(credential_id).hexdigest()}"

        # 2. It is counted before it is looked at: by its own name, so that guesses at passwords shut no passkey out.
        await self._admit(request, account, owner, event)

        # 3. The signature, then the person, then the counter.
        user, reason = None, Reason.LOGIN_FAILED
        count = None if assertion is None else await self._count(assertion, view, kept, needs_handle=subject is None)
        if view is not None and count is not None and subject in {None, view.user.subject}:
            user = await self.completion.recognise(view.user)
        if user is not None and count is not None:
            use = await self.passkeys.use_passkey(credential_id, sign_count=count, now=self.completion.now())
            user = user if use is PasskeyUse.ACCEPTED else None
            reason = Reason.PASSKEY_COUNTER_BACK if use is PasskeyUse.COUNTER_BACK else reason
        if user is None:
            await self._record_failure(request, view, event, reason)
        return Proof(user, account, owner, reason)

    async def _count(
        self, assertion: PasskeyAssertion, view: PasskeyView | None, kept: Mapping[str, str], *, needs_handle: bool
    ) -> int | None:
        """Return how often the passkey says that it has signed; None when it has not signed this."""
        passkey, challenge = None if view is None else view.passkey, bytes.fromhex(kept["challenge"])
        check = partial(check_assertion, self.party, assertion, passkey, challenge=challenge, needs_handle=needs_handle)
        try:
            return await asyncio.to_thread(check)
        except PasskeyRefused:
            return None

    async def succeeded(self, request: Request, proof: Proof, response: Response) -> None:
        """Take the count of an answer back that was right, and know the browser from now on."""
        if self.throttle is not None:
            await self.throttle.succeeded(request, proof.account, response, owner=proof.owner)

    async def _admit(self, request: Request, account: str, owner: str | None, event: AuditEvent) -> None:
        if self.throttle is None:
            return
        try:
            await self.throttle.admit(request, account, owner=owner)
        except TooManyRequests as refusal:
            # Behind, and in a bounded queue: an attacker can cause as many of these as it likes.
            self.completion.audit.note(request, event, Outcome.REFUSED, reason=refusal.reason)
            raise

    async def _record_failure(
        self, request: Request, view: PasskeyView | None, event: AuditEvent, reason: Reason
    ) -> None:
        request.state.subject = subject = None if view is None else view.user.subject
        await self.completion.audit.record(request, event, Outcome.REFUSED, reason=reason, subject=subject)
