"""`AuthProvider`: the short way to write a login provider, which needs to know nothing of the rest.

Two plain methods, sync or async: who is this, and where is that asked otherwise. `IdentityProvider` can do more.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.asking import ask
from gatepost.identity.provider import Identity, IdentityProvider, Login, LoginField
from gatepost.wording.phrase import Phrase


class AuthProvider(ABC):
    """Says who is at the browser, by a subject or an `Identity`.

    Tools see its subjects as they are, where nobody has them yet.
    """

    login_fields: tuple[LoginField, ...] = (
        LoginField("password", Phrase("Password"), secret=True, autocomplete="current-password"),
    )
    """What the form asks for where `challenge` returns None."""

    @property
    def name(self) -> str:
        """One word that stays, of lower-case letters, digits and hyphens; by default the class's.

        It is who vouches for the people: under another name, they are others.
        """
        return re.sub("[^a-z0-9]", "", type(self).__name__.lower()) or "auth"

    @abstractmethod
    def authenticate(
        self, request: Request, credentials: dict[str, str]
    ) -> str | Identity | Awaitable[str | Identity | None] | None:
        """Return who this is, or None. Sync (it then runs in a thread) or async.

        Args:
            request: with headers and cookies. Once the browser arrives, and once for each answer to the form.
            credentials: the query of the authorization request, where there is one, and over it what the form sent.
                What is in `login_fields` comes from the form alone, where guesses are counted.
        """

    def challenge(self, request: Request, credentials: dict[str, str]) -> Response | Awaitable[Response | None] | None:
        """Return a response that sends a browser elsewhere which `authenticate` does not know; None asks by the form.

        The browser is to come back to `request.url`, with something by which `authenticate` knows it, such as a cookie.
        """
        return None


class AuthProviderLogin(IdentityProvider):
    """An `AuthProvider` as the pages know providers."""

    keeps_subjects = True
    reads_query = True

    def __init__(self, provider: AuthProvider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        """The provider's."""
        return self._provider.name

    @property
    def login_fields(self) -> tuple[LoginField, ...]:
        """The provider's."""
        return tuple(self._provider.login_fields)

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity | None:
        """Ask the provider."""
        known = {**self._query(request), **credentials}
        answer = await ask(self._provider.authenticate, request, known, returns=(str, Identity, type(None)))
        return Identity(answer) if isinstance(answer, str) else answer

    async def challenge(self, request: Request, login: Login) -> Response | None:
        """Ask the provider, which is told the URL by which browsers know the page: a proxy may know it by another."""
        origin = urlsplit(login.url(""))
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"host"]
        scope = {**request.scope, "scheme": origin.scheme, "headers": [*headers, (b"host", origin.netloc.encode())]}
        scope["path"] = request.scope.get("root_path", "") + request.scope["path"]  # inside, it is without its base
        question = Request(scope, request.receive)
        answer: Response | None = await ask(
            self._provider.challenge, question, self._query(request), returns=(Response, type(None))
        )
        return answer

    def _query(self, request: Request) -> dict[str, str]:
        """Return the query of the authorization request without what the form asks for.

        Else guesses in URLs would be looked at which no throttle has counted.
        """
        asked = {field.name for field in self.login_fields}
        query: Any = getattr(request.state, "authorization_query", None) or ""
        return {name: value for name, value in parse_qsl(query, keep_blank_values=True) if name not in asked}
