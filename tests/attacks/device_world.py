"""A device that asks and people who answer, over a whole installation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from gatepost.oauth.device_authorization import DEVICE_CODE
from gatepost.stores.conformance.records import client, keep_client
from tests.attacks.installed import ORIGIN, Installed
from tests.web.pages.pages_world import Accounts, Form

DEVICES: Final[dict[str, Any]] = {"OAUTH_DEVICE_LOGIN": "everybody"}


@dataclass
class Device:
    """A client on a device without a browser."""

    gatepost: Installed
    client_id: str = "client-1"
    codes: dict[str, Any] = field(default_factory=dict)

    async def register(self, **changes: Any) -> Device:
        """Have the store know it as a public client that may do this."""
        registered = {
            "client_name": "Living room",
            "redirect_uris": (),
            "grant_types": ("refresh_token", DEVICE_CODE),
            "response_types": (),
            "token_endpoint_auth_method": "none",
            "secret_fingerprint": None,
            "scope": None,
        }
        await keep_client(self.gatepost.store, client(self.client_id, **{**registered, **changes}))
        return self

    async def begin(self, **more: str) -> httpx2.Response:
        """Ask for both codes."""
        answer = await self.gatepost.http.post(
            "/oauth/device_authorization", data={"client_id": self.client_id, **more}
        )
        if answer.status_code == 200:
            self.codes = answer.json()
        return answer

    async def poll(self, **more: str) -> tuple[int, dict[str, Any]]:
        """Ask for tokens."""
        asked = {"grant_type": DEVICE_CODE, "client_id": self.client_id, "device_code": self.codes["device_code"]}
        answer = await self.gatepost.token(**{**asked, **more})
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json()


@dataclass
class PersonElsewhere:
    """Somebody with a browser of their own, at an address of their own."""

    gatepost: Installed
    username: str = "ada"
    address: str = "127.0.0.1"
    browser: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        app = self.gatepost.http._transport.app  # type: ignore[attr-defined]
        transport = httpx2.ASGITransport(app=app, client=(self.address, 50_000))
        headers = {"Accept": "text/html"}
        self.browser = httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)

    async def log_in(self, path: str = "/oauth/login") -> httpx2.Response:
        """Fill the login form in."""
        form = Form((await self.browser.get(path)).text)
        fields = {**form.fields, "username": self.username, "password": Accounts().passwords[self.username]}
        return await self.browser.post(form.action or "", data=fields)

    async def type_code(self, user_code: str) -> httpx2.Response:
        """Type a code in, logged in."""
        form = Form((await self.browser.get("/oauth/device")).text)
        return await self.browser.post("/oauth/device", data={**form.fields, "user_code": user_code})

    async def question(self, user_code: str) -> httpx2.Response:
        """Log in, type the code, and return the question."""
        await self.log_in()
        typed = await self.type_code(user_code)
        assert typed.status_code == 303, typed.text
        return await self.browser.get(typed.headers["location"])

    async def answer(self, question: httpx2.Response, decision: str, **changes: str) -> httpx2.Response:
        """Press a button."""
        form = Form(question.text)
        fields = {**form.fields, **{name: "yes" for name in form.fields if name.startswith("scope_")}, **changes}
        return await self.browser.post(form.action or "", data={**fields, "decision": decision})
