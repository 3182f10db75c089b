"""The second step of local accounts: setting it up, and judging what is typed at it.

Secrets are sealed with the server's keys, each for its person and step. Which guesses are counted, and how many there
may be, is the business of the pages (`web/pages/login_throttle.py`).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import field
from enum import Enum, auto

from gatepost.identity.one_time_codes import (
    SECRET_BYTES,
    matching_time_step,
    new_recovery_codes,
    recovery_fingerprint,
    typed_digits,
)
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.browser_sessions import BrowserSession
from gatepost.stores.contract.second_steps import SecondStep, SecondStepStore
from gatepost.stores.contract.users import User
from gatepost.stores.second_steps import open_step, reseal_step, seal_step
from gatepost.tokens.opaque import RandomBytes, fingerprint, identifier
from gatepost.tokens.sealing import KeyRing


class Passed(Enum):
    """By what somebody has passed the second step."""

    CODE = auto()
    RECOVERY_CODE = auto()


class CodeWrong(Exception):
    """What was typed is no code that counts now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondSteps:
    """The second steps of a server's people."""

    store: SecondStepStore
    key_ring: KeyRing = field(repr=False)
    now: Callable[[], int]
    """The clock, whole seconds UTC."""
    random_bytes: RandomBytes

    def offered_secret(self, user: User, session_secret: str) -> bytes:
        """Return the secret that somebody may set up in this browser session: the same each time they look.

        So nothing has to be kept before it counts, and whoever loads the page again, as phones do when one looks into
        another app, still has what they scanned (RFC 4226 section 7.5 allows secrets that are derived from a master
        key). It takes the server's key as well as the session's secret to work it out. A session that has set one up
        or turned one off has to be renewed.
        """
        key = self.key_ring.secret(purpose="second step that is offered")
        return hmac.digest(key, f"{user.subject} {session_secret}".encode(), "sha256")[:SECRET_BYTES]

    async def set_up(
        self,
        user: User,
        secret: bytes,
        typed: str,
        *,
        session: BrowserSession | None = None,
        replaces: bytes | None = None,
        no_passkey_at: str | None = None,
    ) -> tuple[str, ...] | None:
        """Set up a second step once a code shows that the app has the secret; return the recovery codes, for once.

        The code is used by it, and the person's sessions end.

        Args:
            user: whose.
            secret: what they were offered.
            typed: the code.
            session: the one in which they go on.
            replaces: the fingerprint of the one in which they set it up, and which has to be there still.
            no_passkey_at: the host for which the person must have no passkey.

        Returns:
            None, and nothing is changed, when the person has one already, or cannot have one.

        Raises:
            CodeWrong: it is no code of this secret.
        """
        now = self.now()
        time_step = matching_time_step(secret, typed_digits(typed), now=now, after=-1)
        if time_step is None:
            raise CodeWrong
        step_id, codes = identifier("step_", self.random_bytes), new_recovery_codes(self.random_bytes)
        sealed = seal_step(
            secret, subject=user.subject, step_id=step_id, ring=self.key_ring, random_bytes=self.random_bytes
        )
        step = SecondStep(user.subject, step_id, sealed, last_time_step=time_step, created_at=now)
        kept = await self.store.set_up(
            step,
            recovery_codes=_fingerprints(step_id, codes),
            session=session,
            replaces=replaces,
            no_passkey_at=no_passkey_at,
        )
        return codes if kept else None

    async def try_code(self, user: User, typed: str) -> Passed | None:
        """Say by what `typed` passes this person's second step, and use it up; None when it does not.

        Raises:
            StoreMisconfigured: the secret in the store does not open.
        """
        step = await self.store.find_second_step(user.subject)
        if step is None or step.step_id != user.second_step:
            return None
        recovery = recovery_fingerprint(step.step_id, typed)
        if recovery is not None:
            used = await self.store.use_recovery_code(user.subject, step.step_id, recovery)
            return Passed.RECOVERY_CODE if used else None
        secret = open_step(step, self.key_ring)
        time_step = matching_time_step(secret, typed_digits(typed), now=self.now(), after=step.last_time_step)
        if time_step is None or not await self.store.accept_time_step(user.subject, step.step_id, time_step):
            return None
        # A process that still knew the older key first may have sealed it after the others were sealed anew.
        await reseal_step(step, self.store, self.key_ring, random_bytes=self.random_bytes)
        return Passed.CODE

    async def renew_recovery_codes(self, user: User) -> tuple[str, ...] | None:
        """Return new recovery codes, which take the place of all earlier ones; None when the step has ended."""
        step_id, codes = user.second_step or "", new_recovery_codes(self.random_bytes)
        kept = await self.store.replace_recovery_codes(user.subject, step_id, _fingerprints(step_id, codes))
        return codes if kept else None


def secret_name(user: User) -> str:
    """Return what guesses at somebody's codes are counted under: another name for each app secret and each password.

    So whoever knows a password that was changed since takes no guesses from the person any more.
    """
    return f"{user.second_step} {fingerprint(user.password_hash or '').hex()}"


def _fingerprints(step_id: str, codes: tuple[str, ...]) -> list[bytes]:
    return [kept for code in codes if (kept := recovery_fingerprint(step_id, code)) is not None]
