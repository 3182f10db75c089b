"""An authorization server with a resource, as clients see it, for tests alone; and a browser that says yes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from gatepost.client.credentials import KeptTokenSource, LoginWays
from gatepost.client.kept_tokens import TokenFiles
from tests.end_to_end import local_http

ISSUER = "https://id.example"
URL = "https://mcp.example/tools/mcp"
NOW = 1_800_000_000
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class IssuerForClients:
    """Registers, gives codes and tokens, rotates refresh tokens, and refuses what is wrong about a request."""

    issuer: str = ISSUER
    resource: str = URL
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    """What differs from the usual; None takes a member away."""
    refusals: list[tuple[int, Any]] = field(default_factory=list[tuple[int, Any]])
    """What the token endpoint answers next, before it answers as it should."""
    is_down: bool = False
    asked: list[str] = field(default_factory=list[str])
    forms: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """What was posted to the token endpoint."""
    registered: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    revoked: list[str] = field(default_factory=list[str])
    refreshable: set[str] = field(default_factory=set[str])
    lasts: int | None = 60
    _codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    _count: int = 0

    def transport(self, _url: str) -> httpx2.AsyncBaseTransport:
        """Return the way to it and to the resource, and to nobody else."""
        return httpx2.MockTransport(self._answer)

    def log_in(self, url: str, *, iss: str | None = "", **changes: str) -> str:
        """Be the person who approves; return where the browser is sent."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert url.startswith(f"{self.issuer}/authorize?")
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert asked["client_id"] in {client["client_id"] for client in self.registered} | {"given"}
        self._count += 1
        code = f"code-{self._count}"
        self._codes[code] = asked
        answer = {"code": code, "state": asked["state"], **changes}
        if iss is not None:
            answer["iss"] = iss or self.issuer
        if "error" in changes:
            del answer["code"]
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)  # as over a network, others go on meanwhile
        url = str(request.url)
        self.asked.append(url.removeprefix(self.issuer))
        return httpx2.Response(503) if self.is_down else self._found(url, request)

    def _found(self, url: str, request: httpx2.Request) -> httpx2.Response:
        answer = httpx2.Response(404)
        match url.removeprefix(self.issuer):
            case "https://mcp.example/.well-known/oauth-protected-resource/tools/mcp":
                document = {
                    "resource": self.resource,
                    "authorization_servers": [self.issuer],
                    "scopes_supported": ["a"],
                }
                answer = httpx2.Response(200, json=document)
            case "/.well-known/openid-configuration":
                answer = httpx2.Response(200, json=self._metadata())
            case "/register":
                client = {**json.loads(request.content), "client_id": f"client-{len(self.registered)}"}
                self.registered.append(client)
                answer = httpx2.Response(201, json=client)
            case "/token":
                answer = self._token(dict(parse_qsl(request.content.decode())))
            case "/device":
                sent = parse_qsl(request.content.decode())
                form = dict(sent)
                assert len(form) == len(sent), "a parameter is sent twice (RFC 8628 section 3.1)"
                self.forms.append(form)
                answer = httpx2.Response(200, json={**self.device_answer, "device_code": "device-1"})
            case "/revoke":
                self.revoked.append(dict(parse_qsl(request.content.decode()))["token"])
                answer = httpx2.Response(200)
        return answer

    device_answer: dict[str, Any] = field(
        default_factory=lambda: {"user_code": "ABCD-EFGH", "verification_uri": f"{ISSUER}/go", "expires_in": 60}
    )

    def _metadata(self) -> dict[str, Any]:
        usual = {
            "issuer": self.issuer,
            **{f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in _PATHS.items()},
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }
        return {name: value for name, value in usual.items() if value is not None}

    def _token(self, form: dict[str, str]) -> httpx2.Response:
        self.forms.append(form)
        if self.refusals:
            status, body = self.refusals.pop(0)
            if isinstance(body, bytes):  # what no writer of JSON writes
                return httpx2.Response(status, content=body, headers={"Content-Type": "application/json"})
            return httpx2.Response(status, json=body)
        if form.get("resource") != self.resource:
            return httpx2.Response(400, json={"error": "invalid_target"})
        if form["grant_type"] == "authorization_code":
            asked = self._codes.pop(form["code"])
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
            assert (form["redirect_uri"], form["client_id"]) == (asked["redirect_uri"], asked["client_id"])
            assert asked["resource"] == self.resource
        elif form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refreshable:
                return httpx2.Response(400, json={"error": "invalid_grant", "error_description": "It was spent."})
            self.refreshable.remove(form["refresh_token"])
        else:
            assert (form["grant_type"], form["device_code"]) == (DEVICE_GRANT, "device-1")
        self._count += 1
        self.refreshable.add(f"refresh-{self._count}")
        answer = {"access_token": f"access-{self._count}", "refresh_token": f"refresh-{self._count}"}
        return httpx2.Response(200, json={**answer, "token_type": "Bearer", "expires_in": self.lasts})


_PATHS = {
    "authorization": "authorize",
    "token": "token",
    "registration": "register",
    "revocation": "revoke",
    "device_authorization": "device",
}


class PersonAtTheTerminal:
    """Approves in a browser; counts how often they were asked."""

    def __init__(self, issuer: IssuerForClients, folder: Path, **ways: Any) -> None:
        self.issuer = issuer
        self.files = TokenFiles(folder / "tokens")
        self.opened: list[str] = []
        self.codes: list[tuple[str, str, str | None]] = []
        self.answer: Callable[[str], str] = issuer.log_in
        self.now = float(NOW)
        self.ways = ways
        self.addresses: dict[str, str] = {}
        """Of hosts, where it is not a public one."""

    def credentials(self, url: str = URL, **ways: Any) -> KeptTokenSource:
        """Return those of one call."""
        login = LoginWays(open_url=self._open, show_code=lambda *said: self.codes.append(said), **{**self.ways, **ways})
        return KeptTokenSource(
            url=url,
            files=self.files,
            transport=self.issuer.transport,
            ways=login,
            now=lambda: self.now,
            resolve=self._resolve,
        )

    async def _resolve(self, host: str) -> Sequence[str]:
        return [self.addresses.get(host, "93.184.215.14")]

    async def _open(self, url: str) -> None:
        self.opened.append(url)
        async with local_http.async_client() as browser:
            answer = await browser.get(self.answer(url))
        assert answer.status_code == 200, answer.text
