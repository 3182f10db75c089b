"""Password and code of somebody who is logged in, asked for again before what matters.

Guesses like any at the login page: counted together with those, before they are looked at.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import field
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.password_workers import password_workers
from gatepost.identity.passwords import password_matches
from gatepost.identity.second_steps import SecondSteps, secret_name
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.users import User
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.login_throttle import AttemptsAtOnce, LoginThrottle, StepAnswer
from gatepost.web.site.audit import Audit
from gatepost.web.site.disconnect import run_while_connected


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerProof:
    """Asks whether it is still the person who logged in."""

    second_steps: SecondSteps
    audit: Audit
    throttle: LoginThrottle | None = None
    """Counts the guesses; None lets everybody guess as often as they like."""
    attempts: AttemptsAtOnce = field(default_factory=AttemptsAtOnce)

    def one_of(self, session: OpenSession) -> AbstractContextManager[None]:
        """Return the context in which a browser makes one of the few attempts that it may make at a time."""
        return self.attempts.one_of(session.record.browser_id)

    async def has_password(self, request: Request, user: User, password: str, event: AuditEvent) -> bool:
        """Say whether this is the person's password; if not, `event` is kept as refused.

        Raises:
            TooManyRequests: it is one guess too many.
        """
        await self._admit(request, user, event)
        matches = password_workers().run(partial(password_matches, user.password_hash, password))
        is_right = await run_while_connected(matches, request.receive)
        if not is_right:
            await self._refused(request, user, event, Reason.LOGIN_FAILED)
        return is_right

    async def has_code(self, request: Request, user: User, typed: str, event: AuditEvent) -> bool:
        """Say whether this is a code of the person's second step, whose password was right; it counts once.

        Raises:
            TooManyRequests: it is one guess too many.
        """
        await self._admit(request, user, event, _answer(user, typed))
        is_right = await self.second_steps.try_code(user, typed) is not None
        if not is_right:
            await self._refused(request, user, event, Reason.SECOND_STEP_FAILED)
        return is_right

    async def succeeded(self, request: Request, user: User, response: Response, *, code: str | None = None) -> None:
        """Take back the count of what was right: the password, and the code, if one was asked for."""
        if self.throttle is not None:
            answer, earlier = (None, 0) if code is None else (_answer(user, code), 1)
            await self.throttle.succeeded(request, user.username or "", response, answer, earlier=earlier)

    def knows(self, response: Response, user: User) -> None:
        """Let the browser be known as one that has passed the second step as it is now."""
        if self.throttle is not None:
            self.throttle.knows(response, user.username or "", secret_name(user))

    async def _admit(self, request: Request, user: User, event: AuditEvent, answer: StepAnswer | None = None) -> None:
        if self.throttle is None:
            return
        try:
            await self.throttle.admit(request, user.username or "", answer)
        except TooManyRequests as refusal:
            # Behind, and in a bounded queue: an attacker can cause as many of these as it likes.
            self.audit.note(request, event, Outcome.REFUSED, reason=refusal.reason, subject=user.subject)
            raise

    async def _refused(self, request: Request, user: User, event: AuditEvent, reason: Reason) -> None:
        await self.audit.record(request, event, Outcome.REFUSED, reason=reason, subject=user.subject)


def _answer(user: User, typed: str) -> StepAnswer:
    return StepAnswer(secret_name(user), {"code": typed})
