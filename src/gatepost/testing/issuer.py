"""An authorization server elsewhere, for tests of servers that take its tokens (RFC 9068, RFC 8414, RFC 7517)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey

from gatepost.outbound.external_issuer import ExternalIssuer
from gatepost.outbound.issuer_documents import IssuerSurroundings

_ALGORITHM: Final = "ES256"
_OPENID: Final = "/.well-known/openid-configuration"
_OAUTH: Final = "/.well-known/oauth-authorization-server"
_JWKS: Final = "/jwks"


class Issuer:
    """An issuer in the process of the test, which signs what it is told and serves metadata and keys.

        issuer = Issuer()
        async with RunningServer(server, external=issuer.external()) as running:
            token = issuer.token(running.url, "alice", scopes=["notes:read"])
            async with running.client(token=token) as alice:
                ...

    Nothing is reached over the network: what `external` returns fetches from here.

    Args:
        url: its issuer URL, https, without a slash at the end.
        clock: its time, whole seconds UTC; the machine's by default. Give it that of the server.
    """

    def __init__(self, url: str = "https://issuer.example", *, clock: Callable[[], int] | None = None) -> None:
        self.url = url
        self.is_down = False
        """Whether it answers everything with 503."""
        self.fetched: list[str] = []
        """The paths that were asked for, the last at the end."""
        self._now = clock or (lambda: int(time.time()))
        self._keys = [_new_key()]

    def external(self, audience: str | tuple[str, ...] = (), **options: Any) -> ExternalIssuer:
        """Return what `create_app(external=…)` takes; the arguments are those of `ExternalIssuer` after the first."""
        return _InProcessIssuer(self, audience, **options)

    def token(
        self,
        audience: str,
        subject: str = "alice",
        *,
        scopes: str | tuple[str, ...] | list[str] = (),
        lifetime: int = 300,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a signed access token.

        Args:
            audience: whom it is for: the URL of the endpoint.
            subject: whose it is.
            scopes: what it is for, a list or words.
            lifetime: seconds from now; below 0 for one that has expired.
            claims: are added or put in place of what stands there; None takes one away.
        """
        now = self._now()
        said = {
            "iss": self.url,
            "sub": subject,
            "aud": audience,
            "client_id": "client",
            "scope": scopes if isinstance(scopes, str) else " ".join(scopes),
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + lifetime,
            **(claims or {}),
        }
        key = self._keys[-1]
        header = {"alg": _ALGORITHM, "typ": "at+jwt", "kid": key.kid}
        present = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(header, present, key)

    def rotate(self, *, keeps_old: bool = True) -> None:
        """Sign with a new key from now on; the old one stays among the published unless told otherwise."""
        self._keys = [*(self._keys if keeps_old else ()), _new_key()]

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request for metadata or keys."""
        path, base = request.url.path, urlsplit(self.url).path
        self.fetched.append(path)
        if self.is_down:
            return httpx2.Response(503)
        if path in {base + _OPENID, _OAUTH + base}:
            return httpx2.Response(200, json={"issuer": self.url, "jwks_uri": self.url + _JWKS})
        if path == base + _JWKS:
            return httpx2.Response(200, json={"keys": [key.as_dict(private=False) for key in self._keys]})
        return httpx2.Response(404)


class _InProcessIssuer(ExternalIssuer):
    """An `ExternalIssuer` that fetches from an `Issuer`."""

    def __init__(self, issuer: Issuer, audience: str | tuple[str, ...], **options: Any) -> None:
        super().__init__(issuer.url, audience, **options)
        self._transport = httpx2.MockTransport(issuer.answer)

    def connect(self, surroundings: IssuerSurroundings) -> None:
        super().connect(replace(surroundings, transport=lambda _url: self._transport))


def _new_key() -> ECKey:
    return ECKey.generate_key("P-256", {"alg": _ALGORITHM, "use": "sig", "kid": secrets.token_urlsafe(8)})
