"""One of each request that needs the store, prepared while all is well and sent when it is not.

`Requests.send` sends all of them at the same time: each waits for a busy store for as long as its client does.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import httpx2

from gatepost.oauth.client_assertions import ASSERTION_TYPE
from gatepost.oauth.records import AccessToken, Client, Grant, IssuedTokens, RefreshToken
from gatepost.stores.conformance.records import client, code, transaction
from gatepost.stores.contract.store import Store
from gatepost.stores.urls import locate
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint
from tests.attacks.tokens.seeding import CLIENT, FAR, code_form, refresh_form, revoke_form
from tests.end_to_end import local_http
from tests.tokens.test_client_keys import P256, public, sign
from tests.web.oauth.token_harness import CHALLENGE

Answer = TypeVar("Answer")
Sent = Mapping[str, httpx2.Response]

SECRET: Final = "gp_cs_" + "s" * 43
CONFIDENTIAL: Final = client("client-2", secret_fingerprint=fingerprint(SECRET))
"""Proves itself by HTTP Basic, where a wrong secret is 401."""
SIGNING: Final = client(
    "client-3",
    token_endpoint_auth_method="private_key_jwt",
    secret_fingerprint=None,
    jwks=json.dumps({"keys": [public(P256, kid="1")]}),
)
PROTOCOL: Final = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "faults", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
INITIALIZE: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "faults", "version": "1"},
}
ACCEPT: Final = {"Accept": "application/json, text/event-stream"}


def with_store(place: str, operation: Callable[[Store], Awaitable[Answer]]) -> Answer:
    """Do something with the store at a URL."""

    async def run() -> Answer:
        store = locate(place).make_store()
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())


@dataclass(frozen=True)
class Given:
    """The tokens of a grant that was put into a store."""

    access_token: str
    refresh_token: str


async def give(store: Store, resource: str, *, to: Client = CLIENT) -> Given:
    """Put a grant into the store and return its tokens, which no server has seen yet."""
    grant_id = identifier("grant_", secrets.token_bytes)
    given = Given(
        mint(SecretKind.ACCESS_TOKEN, secrets.token_bytes), mint(SecretKind.REFRESH_TOKEN, secrets.token_bytes)
    )
    access = AccessToken(fingerprint(given.access_token), grant_id, (), 0, FAR)
    refresh = RefreshToken(fingerprint(given.refresh_token), grant_id, 0, FAR)
    grant = Grant(grant_id, "user-1", to.client_id, resource, (), 0, FAR)
    await store.approvals.give_grant(grant, IssuedTokens(access, refresh))
    return given


async def approve(store: Store, resource: str) -> str:
    """Put an approved authorization request into the store and return its code."""
    secret, name = mint(SecretKind.AUTHORIZATION_CODE, secrets.token_bytes), secrets.token_hex(8)
    await store.transactions.begin_transaction(transaction(name, expires_at=FAR, resource=resource))
    record = code("", name, resource=resource, expires_at=FAR, code_challenge=CHALLENGE)
    await store.transactions.approve_transaction(replace(record, code_fingerprint=fingerprint(secret)), now=0)
    return secret


def call(session: str | None = None) -> dict[str, Any]:
    """Return the options of a tool call: in a session of the handshake era, or in the modern one."""
    params: dict[str, Any] = {"name": "whoami", "arguments": {}}
    headers = dict(ACCEPT)
    if session is None:
        params["_meta"] = PROTOCOL
        headers |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "whoami"}
    else:
        headers |= {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": session}
    return {"headers": headers, "json": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}}


def initialize() -> dict[str, Any]:
    """Return the options of a request that begins a session."""
    return {"headers": ACCEPT, "json": {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": INITIALIZE}}


@dataclass
class Requests:
    """One request of each kind, each with secrets of its own.

    Attributes:
        revoked: the grant that is to be revoked.
        code: the form of the code's token request.
    """

    origin: str
    place: str
    code: dict[str, str] = field(init=False)
    refreshed: Given = field(init=False)
    revoked: Given = field(init=False)
    _requests: dict[str, Callable[[httpx2.Client], httpx2.Response]] = field(init=False)

    def __post_init__(self) -> None:
        with_store(self.place, self._prepare)

    async def _prepare(self, store: Store) -> None:
        mcp = f"{self.origin}/mcp"
        for known in (CLIENT, CONFIDENTIAL, SIGNING):
            if await store.clients.find_client(known.client_id) is None:
                await store.clients.register_client(known)
        self.code = code_form(await approve(store, mcp))
        self.refreshed, self.revoked = await give(store, mcp), await give(store, mcp)
        modern, beginning, first, second = [await give(store, mcp) for _ in range(4)]
        confidential, signing = await give(store, mcp, to=CONFIDENTIAL), await give(store, mcp, to=SIGNING)
        session = await asyncio.to_thread(self._session_of, first)
        claims = {
            "iss": SIGNING.client_id,
            "sub": SIGNING.client_id,
            "aud": self.origin,
            "exp": int(time.time()) + 240,
            "jti": secrets.token_urlsafe(8),
        }
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign("ES256", P256, claims)}
        signed = {**refresh_form(signing.refresh_token), "client_id": SIGNING.client_id, **proof}
        asked = {
            "response_type": "code",
            "client_id": CLIENT.client_id,
            "redirect_uri": "http://127.0.0.1:4711/callback",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": mcp,
        }
        metadata = {"client_name": "Faults", "redirect_uris": ["http://127.0.0.1:9999/callback"]}
        basic = (CONFIDENTIAL.client_id, SECRET)
        self._requests = {
            "authorize": lambda http: http.get("/oauth/authorize", params=asked),
            "register": lambda http: http.post("/oauth/register", json=metadata),
            "code": lambda http: http.post("/oauth/token", data=self.code),
            "refresh": lambda http: http.post("/oauth/token", data=refresh_form(self.refreshed.refresh_token)),
            "assertion": lambda http: http.post("/oauth/token", data=signed),
            "revoke": lambda http: http.post("/oauth/revoke", data=revoke_form(self.revoked.refresh_token)),
            "introspect": lambda http: http.post(
                "/oauth/introspect", data={"token": confidential.access_token}, auth=basic
            ),
            "initialize": lambda http: http.post("/mcp", **_with_token(beginning, initialize())),
            "call in a session": lambda http: http.post("/mcp", **_with_token(second, call(session))),
            "call without a session": lambda http: http.post("/mcp", **_with_token(modern, call())),
        }

    def _session_of(self, given: Given) -> str:
        begun = local_http.post(f"{self.origin}/mcp", **_with_token(given, initialize()))
        assert begun.status_code == 200, begun.text
        return begun.headers["mcp-session-id"]

    def send(self, *names: str) -> Sent:
        """Send these requests, or all, at the same time, and return their answers by name."""
        chosen = names or tuple(self._requests)
        with local_http.client(base_url=self.origin) as http, ThreadPoolExecutor(len(self._requests)) as pool:
            sent = {name: pool.submit(self._requests[name], http) for name in chosen}
            return {name: answer.result(local_http.PATIENCE) for name, answer in sent.items()}


def _with_token(given: Given, options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "headers": {**options["headers"], "Authorization": f"Bearer {given.access_token}"}}


SUCCESS: Final = {
    "authorize": 303,
    "register": 201,
    "code": 200,
    "refresh": 200,
    "assertion": 200,
    "revoke": 200,
    "introspect": 200,
    "initialize": 200,
    "call in a session": 200,
    "call without a session": 200,
}
"""What each request is answered when all is well."""
READING: Final = frozenset({"introspect", "call in a session", "call without a session"})
"""Requests that write nothing."""


def statuses(sent: Sent) -> dict[str, int]:
    """Return the status of each answer."""
    return {name: answer.status_code for name, answer in sent.items()}


def assert_unavailable(sent: Sent, *, but: frozenset[str] = frozenset()) -> None:
    """Check that all answers, but these, say that the store cannot answer, and nothing about who asks."""
    assert statuses(sent) == {name: SUCCESS[name] if name in but else 503 for name in sent}
    for name, answer in sent.items():
        if name not in but:
            assert answer.headers["retry-after"] == "5", name
            assert "www-authenticate" not in answer.headers, name
            assert "invalid_client" not in answer.text, name


def assert_done(sent: Sent) -> None:
    """Check that each request got what it asked for."""
    assert statuses(sent) == {name: SUCCESS[name] for name in sent}, {
        name: answer.text for name, answer in sent.items()
    }
