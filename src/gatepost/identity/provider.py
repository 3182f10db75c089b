"""The protocol that every login provider implements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Identity:
    """A user that a provider vouches for."""

    subject: str
    """Stable and unique within this server."""
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class LoginField:
    """One field of the login form."""

    name: str
    label: str
    secret: bool = False
    autocomplete: str = "off"


@runtime_checkable
class IdentityProvider(Protocol):
    """Says who is at the browser."""

    @property
    def login_fields(self) -> tuple[LoginField, ...]:
        """What the login page asks for; empty when nothing has to be asked."""

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity | None:
        """Return who this is, or None.

        `credentials` is empty when the browser first arrives and holds the submitted `login_fields` afterwards. Unknown
        user and wrong secret are the same answer after the same time.
        """

    async def is_active(self, subject: str) -> bool:
        """Say whether this user may still act; asked before a code is issued from an existing browser session."""
