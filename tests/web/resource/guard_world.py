"""A bearer guard over a store and a clock of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from gatepost.resource.principal import Principal
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.grants import GrantStore, LiveAccessToken
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.refused import BearerRefused

ISSUER = "https://mcp.example.com"
NOTES = ProtectedResource(
    identifier=f"{ISSUER}/mcp",
    path="/mcp",
    name="Notes",
    scopes={"notes:write": "Write notes", "notes:read": "Read your notes"},
)
START = 'Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"'
API_KEY = "an-api-key-of-some-length"
LIVE = LiveAccessToken(
    subject="user-1",
    client_id="client-1",
    client_name="App",
    scopes=("notes:read",),
    resource=NOTES.identifier,
    grant_id="grant-1",
    expires_at=5_000,
    grant_revoked=False,
    user_disabled=False,
    display_name="ann",
    user_issuer="https://idp.example",
    profile="[]",
)
ANN = Principal(
    subject="user-1",
    client_id="client-1",
    scopes=frozenset({"notes:read"}),
    resource=NOTES.identifier,
    issuer=ISSUER,
    grant_id="grant-1",
    expires_at=5_000,
    display_name="ann",
    client_name="App",
    user_issuer="https://idp.example",
    profile="[]",
)


@dataclass
class Grants:
    """The one operation of `GrantStore` that the guard uses, over a dictionary."""

    tokens: dict[bytes, LiveAccessToken] = field(default_factory=dict)
    look_ups: int = 0
    is_down: bool = False
    gate: asyncio.Event | None = None

    def issue(self, live: LiveAccessToken = LIVE) -> str:
        token = mint(SecretKind.ACCESS_TOKEN, secrets.token_bytes)
        self.tokens[fingerprint(token)] = live
        return token

    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        self.look_ups += 1
        if self.is_down:
            raise StoreUnavailable("down")
        live = self.tokens.get(token_fingerprint)
        if self.gate is not None:
            await self.gate.wait()
        return live if now >= 0 else None


class World:
    """A guard over a store and a clock that stand still until they are told otherwise."""

    def __init__(self, **options: object) -> None:
        self.now = 1_000
        self.grants = Grants()
        self.guard = BearerGuard(
            grants=cast("GrantStore", self.grants),
            issuer=ISSUER,
            now=lambda: self.now,
            **{"resource": NOTES, **options},  # type: ignore[arg-type] # each test passes what its option takes
        )

    async def verify(self, *values: bytes, keys: Sequence[bytes] = (), query_string: bytes = b"") -> Principal:
        headers = [
            (b"host", b"mcp.example.com"),
            *((b"authorization", value) for value in values),
            *((b"MCP-API-Key", key) for key in keys),
        ]
        return await self.guard.verify(headers, query_string)

    async def refused(self, *values: bytes, keys: Sequence[bytes] = (), query_string: bytes = b"") -> BearerRefused:
        with pytest.raises(BearerRefused) as caught:
            await self.verify(*values, keys=keys, query_string=query_string)
        return caught.value


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()
