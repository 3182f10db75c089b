"""Callers in the words of Starlette's `AuthenticationMiddleware`: those it leaves, and ours for who asks that way.

What it leaves counts where nobody needs a token of ours, and only there: beside our guard it would be a second way in.
"""

from __future__ import annotations

from typing import Final

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser
from starlette.types import Scope

from gatepost.resource.principal import Principal
from gatepost.resource.resources import ProtectedResource

PRINCIPAL: Final = "gatepost.principal"
"""Where in the scope an application finds the `Principal`; None where the server demands no token."""
GRANTED: Final = "gatepost.granted"
"""The key in the scope of an HTTP request without a principal: the scopes that count, or None where none do."""
UNKNOWN_CALLER: Final = "gatepost.unknown_caller"
"""Stands in the scope of a request without a token where these may do what needs no scope."""
NOTHING: Final[frozenset[str]] = frozenset()
_ISSUER: Final = "application"
"""Who vouches for these callers."""


def outer_principal(scope: Scope, resource: ProtectedResource | None, *, ignores_scopes: bool) -> Principal | None:
    """Return who calls, as the application around this one knows them, and leave in `scope` what counts without one.

    Args:
        scope: of an HTTP request.
        resource: says which scopes imply others.
        ignores_scopes: whether everybody may do everything where nobody grants scopes.
    """
    credentials = scope.get("auth")
    if credentials is None:
        scope[GRANTED] = None if ignores_scopes else NOTHING
        return None
    scopes = frozenset(credentials.scopes) if resource is None else resource.effective(credentials.scopes)
    user = scope.get("user")
    if user is None or not user.is_authenticated:
        scope[GRANTED] = scopes
        return None
    return Principal(
        subject=_subject(user),
        client_id="",
        scopes=scopes,
        resource="" if resource is None else resource.identifier,
        issuer=_ISSUER,
        grant_id=None,
        expires_at=None,
        display_name=user.display_name,
    )


class AuthenticatedCaller(BaseUser):
    """The caller of a verified request, as `request.user`."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    @property
    def is_authenticated(self) -> bool:
        """Whether anybody is known."""
        return True

    @property
    def display_name(self) -> str:
        """A name for people."""
        return self._principal.display_name or self._principal.subject

    @property
    def identity(self) -> str:
        """The subject."""
        return self._principal.subject


def with_authentication(scope: Scope, principal: Principal | None) -> Scope:
    """Return a scope with `auth` and `user`, for `has_required_scope(request, …)` and `request.user`.

    What an application around this one has left stays as it is.
    """
    if "auth" in scope:
        return scope
    if principal is None:
        return {**scope, "auth": AuthCredentials(sorted(scope.get(GRANTED) or ())), "user": UnauthenticatedUser()}
    return {**scope, "auth": AuthCredentials(sorted(principal.scopes)), "user": AuthenticatedCaller(principal)}


def _subject(user: BaseUser) -> str:
    """Return what stays the same of a user; Starlette's base class has an identity that need not be there."""
    try:
        return user.identity
    except NotImplementedError:
        return user.display_name
