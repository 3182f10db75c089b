"""What a remote server is shown so that it lets Gatepost in: never the token that a client came with.

FixedHeaders    the same for everybody, as the operator set it
CallersTokens   the access token that a login provider gave for the person who calls
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final, Protocol

from gatepost.fronts.backend import SessionUser
from gatepost.late_dataclass import dataclass
from gatepost.server.calls.upstream import NoPerson, UnknownUpstream, Upstream

_BEARER: Final = "Bearer "


class Credentials(Protocol):
    """Gives the headers of requests."""

    @property
    def are_same_for_all(self) -> bool:
        """Whether they are the same whoever calls."""
        ...

    async def headers(self, user: SessionUser | None, *, refused: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """Return the headers for a user's requests.

        Args:
            user: whose; None for nobody's in particular.
            refused: those that the server has refused, if any; the same are returned where there are no others.

        Raises:
            ToolError: the user has to do something first, which the error says in words for them.
            UnknownUpstream: nobody can have the token that is wanted; the operator's mistake.
        """
        ...

    def personal_token(self, headers: Mapping[str, str]) -> str | None:
        """Return the token of a person that these headers hold, which no app may see; None if they hold none."""
        ...


@dataclass(frozen=True, slots=True)
class FixedHeaders:
    """The same headers for everybody."""

    given: Mapping[str, str] = field(repr=False)

    @property
    def are_same_for_all(self) -> bool:
        return True

    async def headers(self, user: SessionUser | None, *, refused: Mapping[str, str] | None = None) -> Mapping[str, str]:
        del user, refused
        return self.given

    def personal_token(self, headers: Mapping[str, str]) -> str | None:
        del headers
        return None


@dataclass(frozen=True, slots=True)
class CallersTokens:
    """`Authorization` with the caller's own access token of a login provider, beside fixed headers."""

    provider: str
    upstream: Upstream | None
    """Gives the tokens; None where nobody logs in elsewhere."""
    given: Mapping[str, str] = field(repr=False)

    @property
    def are_same_for_all(self) -> bool:
        return False

    async def headers(self, user: SessionUser | None, *, refused: Mapping[str, str] | None = None) -> Mapping[str, str]:
        principal = None if user is None else user.principal
        if self.upstream is None:
            raise UnknownUpstream(f"there is no login provider {self.provider!r}: nobody logs in elsewhere here")
        # Somebody whom an issuer elsewhere vouches for has no account here, so nothing was ever linked to one.
        if principal is None or principal.user_issuer is None or principal.grant_id is None:
            raise NoPerson(
                f"This acts at {self.provider} as the person who calls it, and nobody has logged in for this call."
            )
        before = None if refused is None else self.personal_token(refused)
        token = await self.upstream.access_token(self.provider, principal, refused=before)
        return {**self.given, "Authorization": _BEARER + token}

    def personal_token(self, headers: Mapping[str, str]) -> str | None:
        return headers["Authorization"].removeprefix(_BEARER)
