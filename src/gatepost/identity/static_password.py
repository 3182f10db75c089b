"""One password and no account to create: whoever knows it is the owner."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from starlette.requests import Request

from gatepost.identity.passwords import checked_password, normalised
from gatepost.identity.provider import Identity, LoginField
from gatepost.identity.single_user import OperatorNamedProvider
from gatepost.wording.phrase import Phrase


class StaticPasswordProvider(OperatorNamedProvider):
    """The provider of one password, such as one from the environment.

    A login outlives a change of the password by what is left of its browser session, 12 hours at most; tokens do not
    depend on it. `gatepost users disable` ends both.

    Args:
        password: 12 to 256 characters.
        subject: what tokens and tools see of the owner.
        display_name: what pages show; the subject when it is None.

    Raises:
        PasswordRefused: it is too short, too long or too easy to guess.
    """

    name = "static-password"
    login_fields = (LoginField("password", Phrase("Password"), secret=True, autocomplete="current-password"),)

    def __init__(self, password: str, subject: str = "owner", *, display_name: str | None = None) -> None:
        super().__init__(subject, display_name=display_name)
        self._digest = _digest(checked_password(password))

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity | None:
        """Return the owner if the password is right."""
        typed = _digest(normalised(credentials.get("password", "")))
        return self._identity if hmac.compare_digest(typed, self._digest) else None


def _digest(password: str) -> bytes:
    """Return 32 bytes to compare, so that not even the length shows in the time that it takes.

    A fast hash will do: it lies in the memory of this process alone, where the password has been too.
    """
    return hashlib.sha256(password.encode(errors="surrogatepass")).digest()
