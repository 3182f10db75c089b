"""The protocol that every login provider implements.

The pages know providers only through this protocol. What they do with one, on each arrival at the login page:

1. `awaits_setup()`: nobody can log in yet; say where the first account comes from.
2. `authenticate(request, {})`: some providers know who is there without asking (a single user, a header that a trusted
   proxy sets). An identity ends the login here.
3. `challenge(...)`: some providers ask elsewhere (an upstream OAuth login, a device). Its response goes to the browser
   as it is. The provider comes back through a route of its own, which logs the browser in and redirects to `return_to`.
4. Otherwise the form shows `login_fields`, and what was typed goes to `authenticate(request, credentials)`. One secret
   field makes a password-only login.

A provider that subclasses the protocol inherits the answers that fit most: nothing to set up, no challenge, accounts
can be switched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import Response


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

    async def challenge(
        self,
        request: Request,  # noqa: ARG002 - this body is the answer of providers that ask nowhere else
        *,
        browser_id: str,  # noqa: ARG002 - likewise
        return_to: str,  # noqa: ARG002 - likewise
        switch_account: bool,  # noqa: ARG002 - likewise
    ) -> Response | None:
        """Return a response that makes the browser identify its user elsewhere, or None to show the login form.

        Args:
            request: the arrival at the login page.
            browser_id: what a one-use upstream `state` is to be bound to.
            return_to: our own path to redirect to once the user is known.
            switch_account: whether the user asked for another account than the one they are logged in with.
        """
        return None

    async def awaits_setup(self) -> bool:
        """Say whether the first account is still to be created through the set-up link."""
        return False

    @property
    def can_switch_account(self) -> bool:
        """Whether there can be another account to log in with."""
        return True
