"""A server that lets others assert grants, and one of them, whose keys are under the test's control."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from gatepost.oauth.asserted_grants import JWT_BEARER
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.outbound.external_issuer import Issuer

MCP_URL = f"{ORIGIN}/mcp"


@dataclass
class Asserting:
    """A server, and who asserts something to it."""

    gatepost: Installed
    issuer: Issuer

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.gatepost.clock[0]
        said = {
            "iss": self.issuer.url,
            "sub": "U1",
            "aud": ORIGIN,
            "jti": secrets.token_urlsafe(8),
            "iat": now,
            "exp": now + 300,
        }
        return {name: value for name, value in (said | changes).items() if value is not ...}

    def sign(self, claims: Mapping[str, Any], typ: str | None, **options: Any) -> str:
        return self.issuer.token(claims, header={"typ": typ, **options.pop("header", {})}, **options)

    async def ask(
        self, assertion: str, *, headers: Mapping[str, str] | None = None, **parameters: str
    ) -> httpx2.Response:
        form = {"grant_type": JWT_BEARER, "assertion": assertion, **parameters}
        answer = await self.gatepost.http.post("/oauth/token", data=form, headers=dict(headers or {}))
        assert answer.headers["cache-control"] == "no-store"
        # Whatever is wrong with it, an assertion is not quoted.
        assert assertion[-20:] not in answer.text
        return answer

    async def call(self, token: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        return await self.gatepost.http.post(
            "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers
        )


def told(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error")


@asynccontextmanager
async def asserting(
    monkeypatch: pytest.MonkeyPatch, *, issuer: Issuer | None = None, **options: Any
) -> AsyncIterator[Asserting]:
    """Serve; `options` are those of `installed`."""
    there = issuer or Issuer()
    monkeypatch.setattr(
        "gatepost.assembly.asserted_grants._way_to", lambda _proxy, url: there.surroundings(lambda: 0).transport(url)
    )
    async with installed(**options) as gatepost:
        yield Asserting(gatepost, there)
