"""The second step of local accounts: the secret of an authenticator app, and recovery codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Protocol

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.browser_sessions import BrowserSession


@dataclass(frozen=True, slots=True)
class SecondStep:
    """What somebody's codes are compared with. `User.second_step` says who has one."""

    subject: str
    step_id: str
    """Names this secret; who sets another up has another."""
    sealed_secret: bytes = field(repr=False)
    """Sealed for this subject and `step_id`."""
    last_time_step: int
    """That of the last code that counted (RFC 6238 section 5.2). It never falls: after a clock was set back, recovery
    codes count, and others again when the time has caught up."""
    created_at: int


class SecondStepStore(Protocol):
    """Second steps. Whatever names a `step_id` does nothing, and says so, where that is not the person's any more."""

    async def set_up(
        self,
        step: SecondStep,
        *,
        recovery_codes: Sequence[bytes],
        session: BrowserSession | None = None,
        replaces: bytes | None = None,
        no_passkey_at: str | None = None,
    ) -> bool:
        """Keep a second step and the fingerprints of its recovery codes, and end every session of the person.

        They began without it. In the same step `session` begins in place of the one whose fingerprint is `replaces`.
        False, and nothing is changed, when the person has one, is no local account or is disabled, or the session that
        is to be replaced has ended: of several at once one is kept. Likewise when the person has a passkey for the host
        `no_passkey_at`.

        Repeated: False, since the person has one; `find_second_step` says whether it is this one.
        """

    async def find_second_step(self, subject: str) -> SecondStep | None:
        """Return the person's second step."""

    async def accept_time_step(self, subject: str, step_id: str, time_step: int) -> bool:
        """Keep that a code of this time step counted; False when one of it or of a later one has counted before.

        Of several at once with one code, one is accepted.

        Repeated: False; a code in doubt is not honoured, and the next one is 30 seconds away.
        """

    async def use_recovery_code(self, subject: str, step_id: str, code_fingerprint: bytes) -> bool:
        """Use a recovery code up; False when it is none of this step's, or was used. Of several at once one uses it.

        Repeated: False; a code in doubt is used up, and another one is needed.
        """

    async def replace_recovery_codes(self, subject: str, step_id: str, recovery_codes: Sequence[bytes]) -> bool:
        """Keep these in place of all earlier ones, used or not.

        Repeated: the same again, and the same answer.
        """

    async def count_recovery_codes(self, subject: str) -> int:
        """Return how many recovery codes the person has left."""

    async def turn_off(self, subject: str, *, step_id: str | None = None, keeps_passkey_at: str | None = None) -> bool:
        """Forget the person's second step and recovery codes; False when there is none, or not this `step_id`.

        Also False when the person has no passkey for the host `keeps_passkey_at`. Whose passkeys are gone as well has
        no session any more that `has_second_factor`.

        Repeated: False.
        """

    async def list_second_steps(self) -> list[SecondStep]:
        """Return all of them by subject: to seal them anew."""

    async def reseal_second_step(self, subject: str, step_id: str, sealed_secret: bytes) -> None:
        """Keep the secret sealed under another key.

        Repeated: fine.
        """
