"""An authorization server elsewhere that exists for tests alone: its metadata, its keys, its tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from gatepost.outbound.issuer_documents import IssuerSurroundings
from gatepost.tokens.opaque import base64url

KEYS = [RSAKey.generate_key(2048, parameters={"kid": kid}) for kid in ("one", "two")]
CURVE = ECKey.generate_key("P-256", parameters={"kid": "curve"})


@dataclass
class Issuer:
    """Signs tokens with its first key, and serves all of its keys."""

    url: str = "https://id.example.com"
    keys: list[Any] = field(default_factory=lambda: [KEYS[0]])
    served: dict[str, Any] = field(default_factory=dict)
    """What it answers beside its keys, by path; by default its metadata where OpenID Connect has it."""
    is_down: bool = False
    introspects: Callable[[httpx2.Request], httpx2.Response] | None = None
    """Answers at /introspect."""
    asked: list[str] = field(default_factory=list)
    """The paths, in order."""
    on_request: Callable[[], Any] | None = None

    def __post_init__(self) -> None:
        path = urlsplit(self.url).path.removesuffix("/")
        self.served.setdefault(
            f"{path}/.well-known/openid-configuration", {"issuer": self.url, "jwks_uri": f"{self.origin}/keys"}
        )

    @property
    def origin(self) -> str:
        """Its scheme and host."""
        return "https://" + urlsplit(self.url).netloc

    def surroundings(self, now: Callable[[], int]) -> IssuerSurroundings:
        """Return the way to it, and to nobody else."""
        return IssuerSurroundings(now, lambda _: httpx2.MockTransport(self._answer))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        if self.on_request is not None:
            await self.on_request()
        if self.is_down:
            raise httpx2.ConnectError("nobody is there")
        if request.url.path == "/keys":
            return httpx2.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
        if request.url.path == "/introspect" and self.introspects is not None:
            return self.introspects(request)
        document = self.served.get(request.url.path)
        return httpx2.Response(404) if document is None else httpx2.Response(200, json=document)

    def token(
        self, claims: Mapping[str, Any], *, header: Mapping[str, Any] | None = None, key: Any = None, alg: str = "RS256"
    ) -> str:
        """Return a signed token; a member of `header` that is None is left out."""
        signing = key or self.keys[0]
        members = {"alg": alg, "kid": signing.kid, "typ": "at+jwt", **(header or {})}
        protected = {name: value for name, value in members.items() if value is not None}
        signed = f"{_segment(protected)}.{_segment(claims)}"
        # By hand: the library refuses to sign what a test has to send.
        signature = jws.JWSRegistry(algorithms=[alg]).get_alg(alg).sign(signed.encode(), signing)
        return f"{signed}.{base64url(signature)}"


def _segment(members: Mapping[str, Any]) -> str:
    return base64url(json.dumps(members).encode())
