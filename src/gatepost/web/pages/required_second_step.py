"""Where more than a password is demanded of an account here: who may set it up at a login, and what may not be undone.

A password opens the set-up only as long as the account has neither a second step nor a passkey for this host. After
that whoever knows the password alone gets nothing, and cannot add a factor of their own either.
"""

from __future__ import annotations

from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.passkeys import Passkey, PasskeyStore
from gatepost.stores.contract.users import User
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.login_purpose import LogIn
from gatepost.web.pages.pending_request import SECOND_STEP
from gatepost.web.pages.recent_login import PASSKEYS, is_recent
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.wording.phrase import Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredSecondStep:
    """Judges what is done to second steps and passkeys, by what `BrowserSessions.demands_second_step` says."""

    completion: LoginCompletion
    passkeys: PasskeyStore
    host: str
    """The host name for which a passkey has to be, to count."""

    async def has_passkey(self, user: User) -> bool:
        """Say whether the person has a passkey that counts."""
        return any(passkey.rp_id == self.host for passkey in await self.passkeys.list_passkeys(user.subject))

    async def not_at_login(self, session: OpenSession, user: User, purpose: LogIn) -> Response | None:
        """Return where somebody goes on who came by a password alone and may not set anything up; None if they may.

        Raises:
            PageRefusal: they have a passkey, by which they have to log in.
        """
        completion = self.completion
        if user.second_step is not None or not is_recent(session, now=completion.now()):
            return completion.pages.redirect(purpose.page_of(switch_account=True))
        if await self.has_passkey(user):
            raise PageRefusal(
                Reason.SECOND_STEP_REQUIRED,
                status=403,
                title=Phrase("Log in with your passkey"),
                message=Phrase(
                    "Your password is right, and this server asks for more than that. If you have lost the passkey, "
                    "ask the people who run this server."
                ),
                link=PageLink(purpose.page_of(switch_account=True), Phrase("Log in")),
            )
        return None

    def keeps_passkey_at(self, user: User) -> str | None:
        """Return for which host the person has to keep a passkey, unless they have a second step; None for none."""
        return self.host if self.completion.browser_sessions.demands_second_step(user) else None

    async def check_turning_off(self, user: User) -> None:
        """Refuse to turn the second step off where nothing would be left of what is demanded.

        Raises:
            PageRefusal: it is.
        """
        if self.keeps_passkey_at(user) is not None and not await self.has_passkey(user):
            raise PageRefusal(
                Reason.SECOND_STEP_REQUIRED,
                status=409,
                title=Phrase("The second step stays on"),
                message=Phrase("This server asks for more than your password. Add a passkey first."),
                link=PageLink(PASSKEYS, Phrase("Your passkeys")),
            )

    async def check_removing(self, user: User, passkey: Passkey) -> None:
        """Refuse to remove a passkey where nothing would be left of what is demanded.

        Raises:
            PageRefusal: it is.
        """
        if self.keeps_passkey_at(user) is None or user.second_step is not None:
            return
        own = await self.passkeys.list_passkeys(user.subject)
        if not any(each.rp_id == self.host and each.number != passkey.number for each in own):
            raise PageRefusal(
                Reason.SECOND_STEP_REQUIRED,
                status=409,
                title=Phrase("This passkey stays"),
                message=Phrase(
                    "This server asks for more than your password. Add another passkey first, or set up a second step."
                ),
                link=PageLink(SECOND_STEP, Phrase("Set up a second step")),
            )
