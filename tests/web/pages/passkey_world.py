"""A whole installation at http://localhost with the accounts of ada and bob, and browsers with authenticators."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from gatepost.identity import passwords
from gatepost.identity.local_accounts import new_user
from gatepost.oauth.audit import AuditQuery
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from tests.attacks.installed import Installed, installed
from tests.identity.authenticator import Authenticator
from tests.web.pages.pages_world import PASSWORD, Form

ORIGIN = "http://localhost:8000"
PASSKEYS, CONFIRM = "/oauth/account/passkeys", "/oauth/account/confirm?for=passkeys"
PUBLIC_ORIGIN = "https://mcp.example.com"
PUBLIC = {
    "MCP_PUBLIC_URL": PUBLIC_ORIGIN,
    "MCP_SEALING_KEYS": "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFG",
    "MCP_STORAGE_URL": "sqlite:///unused.db",
}
"""Settings of a server that other machines reach."""
LONG_AGO = 11 * 60
"""Seconds after which a login is not recent; one on plain http ends after fifteen minutes."""


def make_hashing_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let passwords be hashed with little memory."""
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@dataclass
class Browser:
    """One browser, with cookies of its own."""

    http: httpx2.AsyncClient

    async def log_in(self, name: str = "ada", path: str = "/oauth/login?switch=1") -> httpx2.Response:
        """Log in by the password."""
        form = Form((await self.http.get(path)).text)
        fields = {**form.fields, "username": name, "password": PASSWORD}
        answer = await self.http.post(form.action or "", data=fields)
        assert answer.status_code == 303
        return answer

    async def options(self, page: str) -> tuple[dict[str, str], dict[str, Any]]:
        """Return what a page tells its script, and the answer to its request for a challenge."""
        text = (await self.http.get(page)).text
        told = {name: html.unescape(value) for name, value in re.findall(r'data-([a-z-]+)="([^"]*)"', text)}
        answer = await self.http.post(told["challenge"], headers={"Origin": str(self.http.base_url)})
        assert answer.status_code == 200, answer.text
        return told, answer.json()

    async def add(
        self, device: Authenticator, name: str = "Phone", *, page: str = PASSKEYS, **changes: Any
    ) -> httpx2.Response:
        """Have a device make a passkey, and send it."""
        told, begun = await self.options(page)
        credential = device.create(begun["publicKey"], **changes)
        return await self.answer(told, begun, credential, name=name)

    async def sign(self, device: Authenticator, page: str = "/oauth/login", **changes: Any) -> httpx2.Response:
        """Have a device sign what a page asks for, and send it."""
        told, begun = await self.options(page)
        return await self.answer(told, begun, device.get(begun["publicKey"], **changes))

    async def answer(
        self, told: dict[str, str], begun: dict[str, Any], credential: str, **more: str
    ) -> httpx2.Response:
        """Send the browser's answer as the script does."""
        fields = {"csrf_token": told["csrf"], "state": begun["state"], "credential": credential, **more}
        return await self.http.post(told["action"], data=fields)

    async def press(self, path: str, **fields: str) -> httpx2.Response:
        """Send a form of the page of passkeys."""
        found = re.search('(?:csrf_token" value|data-csrf)="([^"]+)"', (await self.http.get(PASSKEYS)).text)
        assert found is not None
        return await self.http.post(path, data={"csrf_token": found[1], **fields})

    async def is_logged_in(self) -> bool:
        """Say whether somebody is."""
        return (await self.http.get("/oauth/account")).status_code == 200


@dataclass
class PasskeyWorld:
    """The installation."""

    installed: Installed
    origin: str = ORIGIN
    browsers: list[httpx2.AsyncClient] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """Its store."""
        return self.installed.store

    def browser(self, origin: str | None = None, address: str = "127.0.0.1") -> Browser:
        """Return a browser that has never been here."""
        app = self.installed.http._transport.app  # type: ignore[attr-defined]  # an ASGI transport
        transport = httpx2.ASGITransport(app=app, client=(address, 50_000))
        http = httpx2.AsyncClient(transport=transport, base_url=origin or self.origin)
        self.browsers.append(http)
        return Browser(http)

    async def passkeys(self, name: str = "ada") -> list[Passkey]:
        """Return somebody's passkeys."""
        user = await self.store.users.find_user(name)
        assert user is not None
        return await self.store.passkeys.list_passkeys(user.subject)

    async def events(self, event: str) -> list[tuple[str, str | None, bool]]:
        """Return outcome and reason of the events of one kind, and whether they are ada's; the newest first."""
        user = await self.store.users.find_user("ada")
        assert user is not None
        listed = await self.store.audit.list_events(AuditQuery(event=event), before=None, limit=50)
        return [(each.outcome.value, each.reason, each.subject == user.subject) for each in listed]

    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        self.installed.clock[0] += seconds


@asynccontextmanager
async def passkey_world(store: Store | None = None, /, **variables: str) -> AsyncIterator[PasskeyWorld]:
    """Serve one over a fresh store, or over one that is open; `variables` are settings."""
    if store is None:
        store = memory_store()
        await store.open()
    for number, name in enumerate(("ada", "bob")):
        await store.users.add_user(new_user(name, PASSWORD, now=1, random_bytes=bytes([number]).__mul__))
    settings: dict[str, Any] = {**variables}  # for a type checker they could be the other arguments as well
    async with installed(store=store, **settings) as running:
        world = PasskeyWorld(running, variables.get("MCP_PUBLIC_URL", ORIGIN))
        yield world
        for http in world.browsers:
            await http.aclose()
