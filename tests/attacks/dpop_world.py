"""A client with a key, who proves it, at a whole installation."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
from joserfc.jwk import ECKey

from gatepost.stores.conformance.records import client, code, transaction
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.attacks.installed import CHALLENGE, ORIGIN, VERIFIER, Installed
from tests.tokens.test_client_keys import public, sign

TOKEN_URL = f"{ORIGIN}/oauth/token"
MCP_URL = f"{ORIGIN}/mcp"
REDIRECT_URI = "https://app.example/cb"
APP = client(
    token_endpoint_auth_method="none", secret_fingerprint=None, redirect_uris=(REDIRECT_URI,), scope="notes:read"
)


def access_token_hash(token: str) -> str:
    return base64.urlsafe_b64encode(fingerprint(token)).rstrip(b"=").decode()


@dataclass
class Prover:
    """Who holds a key."""

    gatepost: Installed
    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256"))
    algorithm: str = "ES256"
    nonces: dict[str, str] = field(default_factory=dict)
    """The last one that each URL said."""

    @property
    def thumbprint(self) -> str:
        return str(self.key.thumbprint())

    def proof(
        self, url: str, *, token: str | None = None, header: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        """A proof for a POST; `...` leaves a claim, or a member of the header, out."""
        claims = {
            "jti": secrets.token_urlsafe(12),
            "htm": "POST",
            "htu": url,
            "iat": self.gatepost.clock[0],
            "ath": ... if token is None else access_token_hash(token),
            "nonce": self.nonces.get(url, ...),
            **changes,
        }
        head = {"typ": "dpop+jwt", "jwk": public(self.key), **(header or {})}
        algorithm = head.pop("alg", self.algorithm)
        return sign(algorithm, self.key, _given(claims), **_given(head))

    async def ask(self, *, proof: str | None = None, **parameters: str) -> httpx2.Response:
        """Send a token request, once more with the nonce where one is needed."""
        sent = proof or self.proof(TOKEN_URL)
        answer = await self.gatepost.http.post("/oauth/token", data=parameters, headers={"DPoP": sent})
        if proof is not None or answer.json().get("error") != "use_dpop_nonce":
            return answer
        self.nonces[TOKEN_URL] = answer.headers["dpop-nonce"]
        return await self.ask(proof=self.proof(TOKEN_URL), **parameters)

    async def begin(self, **bound: Any) -> dict[str, Any]:
        """The tokens of a new grant."""
        answer = await self.redeem(await approved_code(self.gatepost, **bound))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def redeem(self, secret: str) -> httpx2.Response:
        return await self.ask(**code_form(secret))

    async def refresh(self, token: str) -> httpx2.Response:
        return await self.ask(grant_type="refresh_token", refresh_token=token, client_id=APP.client_id)

    async def call(
        self, token: str, *, proof: str | None = None, scheme: str = "DPoP", **changes: Any
    ) -> httpx2.Response:
        """Call the MCP endpoint, once more with the nonce where one is needed."""
        sent = proof or self.proof(MCP_URL, token=token, **changes)
        answer = await ping(self.gatepost, [("Authorization", f"{scheme} {token}"), ("DPoP", sent)])
        if proof is not None or "dpop-nonce" not in answer.headers:
            return answer
        self.nonces[MCP_URL] = answer.headers["dpop-nonce"]
        return await self.call(token, proof=self.proof(MCP_URL, token=token, **changes), scheme=scheme)


async def ping(gatepost: Installed, headers: list[tuple[str, str]], url: str = "/mcp") -> httpx2.Response:
    """Call the MCP endpoint."""
    own = [("Accept", "application/json, text/event-stream"), ("Content-Type", "application/json")]
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    return await gatepost.http.post(url, content=body, headers=[*own, *headers])


async def approved_code(gatepost: Installed, **changes: Any) -> str:
    """The code of an approved authorization request; `changes` are of its record."""
    now = gatepost.clock[0]
    if await gatepost.store.clients.find_client(APP.client_id) is None:
        await gatepost.store.clients.register_client(APP)
    secret, name = mint(SecretKind.AUTHORIZATION_CODE, secrets.token_bytes), secrets.token_hex(8)
    own = {"resource": MCP_URL, "scopes": ("notes:read",), "redirect_uri": REDIRECT_URI, "code_challenge": CHALLENGE}
    begun = transaction(name, created_at=now, expires_at=now + 600, **own)
    await gatepost.store.transactions.begin_transaction(begun)
    record = code("", name, created_at=now, expires_at=now + 600, **own)
    kept = replace(record, code_fingerprint=fingerprint(secret), **changes)
    await gatepost.store.transactions.approve_transaction(kept, now=now)
    return secret


def code_form(secret: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": secret,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        "client_id": APP.client_id,
    }


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ...}
