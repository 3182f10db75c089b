"""A server with three endpoints, a person's app at one of them, and servers that exchange what it sends."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from gatepost import Context, Server
from gatepost.oauth.audit import AuditQuery, AuditRecord
from gatepost.oauth.operator_clients import CLIENT_CREDENTIALS
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.oauth.token_exchange import ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE
from gatepost.stores.conformance.records import client, user
from gatepost.tokens.opaque import fingerprint
from tests.attacks.dpop_world import APP, approved_code, code_form
from tests.attacks.installed import ORIGIN, Installed, installed

FRONT, NOTES, MAIL = f"{ORIGIN}/mcp", f"{ORIGIN}/notes", f"{ORIGIN}/mail"
SECRET: Final = "gp_cs_" + "s" * 43
BOTH: Final = ("notes:read", "notes:write")


def exchanger(client_id: str = "front", **changes: Any) -> Client:
    """A server that is sent tokens for the first endpoint, and gets others for the second."""
    own: dict[str, Any] = {
        "client_name": "Front",
        "redirect_uris": (),
        "grant_types": (TOKEN_EXCHANGE, CLIENT_CREDENTIALS),
        "response_types": (),
        "token_endpoint_auth_method": "client_secret_post",
        "scope": None,
        "secret_fingerprint": fingerprint(SECRET),
        "origin": ClientOrigin.PREREGISTERED,
        "exchange_from": ("/mcp",),
        "exchange_to": ("/notes",),
    }
    return client(client_id, **{**own, **changes})


@dataclass
class Exchanging:
    """The server, and what people and programs do there."""

    gatepost: Installed

    async def begin(self, *, resource: str = FRONT, scopes: tuple[str, ...] = BOTH, **bound: Any) -> dict[str, Any]:
        """Return the tokens that a person's app gets."""
        secret = await approved_code(self.gatepost, resource=resource, scopes=scopes, **bound)
        answer = await self.gatepost.http.post("/oauth/token", data=code_form(secret))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def exchange(
        self, subject_token: str, by: str = "front", *, headers: Mapping[str, str] | None = None, **changes: Any
    ) -> httpx2.Response:
        """Exchange a token; `...` leaves a parameter out."""
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "client_id": by,
            "client_secret": SECRET,
            "subject_token": subject_token,
            "subject_token_type": ACCESS_TOKEN_TYPE,
            **changes,
        }
        sent = {name: value for name, value in form.items() if value is not ...}
        answer = await self.gatepost.http.post("/oauth/token", data=sent, headers=dict(headers or {}))
        assert answer.headers["cache-control"] == "no-store"
        if answer.status_code != 200 and len(subject_token) > 20:
            assert subject_token[-20:] not in answer.text
        return answer

    async def exchanged(self, subject_token: str, by: str = "front", **changes: Any) -> str:
        """Return the token that is given for another."""
        answer = await self.exchange(subject_token, by, **changes)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def ask(self, token: str, path: str) -> httpx2.Response:
        """Say hello to an endpoint."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        return await self.gatepost.http.post(path, json=body, headers=headers)

    async def opens(self, token: str) -> list[str]:
        """Return the endpoints that a token opens."""
        return [path for path in ("/mcp", "/notes", "/mail") if (await self.ask(token, path)).status_code == 200]

    async def call(self, token: str, path: str, tool: str) -> dict[str, Any]:
        """Return what a tool says of its caller."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "app", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {"name": tool, "arguments": {}, "_meta": meta}
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = await self.gatepost.http.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = json.loads(answer.json()["result"]["content"][0]["text"])
        return said

    async def introspect(self, token: str, by: str = "front") -> dict[str, Any]:
        form = {"token": token, "client_id": by, "client_secret": SECRET}
        said: dict[str, Any] = (await self.gatepost.http.post("/oauth/introspect", data=form)).json()
        return said

    async def own_token(self, by: str = "front", **more: str) -> str:
        """Return a token that a program got for itself."""
        form = {"grant_type": CLIENT_CREDENTIALS, "client_id": by, "client_secret": SECRET, "resource": NOTES, **more}
        token: str = (await self.gatepost.token(**form)).json()["access_token"]
        return token

    async def events(self, outcome: str = "ok") -> list[AuditRecord]:
        """Return what the audit trail says of exchanges."""
        await self.gatepost.installation.core.audit_trail.write_queue()
        asked = AuditQuery(event="token_exchange", outcome=outcome)
        return await self.gatepost.store.audit.list_events(asked, before=None, limit=99)


@asynccontextmanager
async def exchanging(*more: Client, **options: Any) -> AsyncIterator[Exchanging]:
    """Serve; `more` are clients beside the one that is sent tokens for the first endpoint."""
    served = {"/mcp": _server("front"), "/notes": _server("notes"), "/mail": _server("mail")}
    async with installed(target=served, **{"OAUTH_TOKEN_EXCHANGE": "true", **options}) as gatepost:
        await gatepost.store.users.add_user(user(display_name="Ada"))
        for each in (exchanger(), *more):
            await gatepost.store.clients.register_client(each)
        await gatepost.store.clients.register_client(APP)
        yield Exchanging(gatepost)


def claims(token: str) -> dict[str, Any]:
    """Return what a signed token says."""
    body = token.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return said


def told(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error")


def _server(name: str) -> Server:
    server = Server(name)

    @server.tool(scopes=["notes:read"])
    async def read(ctx: Context) -> str:
        """Say who calls."""
        return json.dumps(
            {
                "user": ctx.user.subject,
                "client": ctx.client.client_id,
                "actors": [*ctx.client.actors],
                "scopes": sorted(ctx.scopes),
            }
        )

    @server.tool(scopes=["notes:write"])
    async def write() -> str:
        """Write."""
        return "{}"

    if name == "mail":

        @server.tool(scopes=["mail:send"])
        async def send() -> str:
            """Send."""
            return "{}"

    return server
