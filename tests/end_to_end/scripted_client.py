"""A person with a browser, and a client, both scripted over plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from gatepost.oauth.device_authorization import DEVICE_CODE
from tests.end_to_end import local_http
from tests.end_to_end.running_server import PASSWORD

_FORM = re.compile(r"<form[^>]*method=\"post\"[^>]*>.*?</form>", re.DOTALL | re.IGNORECASE)
_ACTION = re.compile(r"<form[^>]*action=\"([^\"]*)\"", re.IGNORECASE)
_INPUT = re.compile(r"<input[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"(name|value|type)=\"([^\"]*)\"", re.IGNORECASE)


_opened: list[httpx2.Client] = []


def open_http(**options: Any) -> httpx2.Client:
    """Return an HTTP client that `close_http` closes."""
    client = local_http.client(**options)
    _opened.append(client)
    return client


def count_open_http() -> int:
    """Return how many clients `close_http` would close."""
    return len(_opened)


def close_http(*, keep: int) -> None:
    """Close every client that was opened but the first ones; run after each test."""
    while len(_opened) > keep:
        _opened.pop().close()


@dataclass
class Person:
    """Somebody at a browser: follows redirects on our origin, fills forms in, presses buttons."""

    origin: str
    username: str = "owner"
    password: str = PASSWORD
    issuer: str | None = None
    """Where else there are pages to log in: those of oidc-provider."""
    browser: httpx2.Client = field(init=False)
    pages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.browser = open_http(base_url=self.origin, headers={"Accept": "text/html"})

    def set_up(self, link: str) -> None:
        """Create the owner's account through the set-up link."""
        page = self._get(link)
        done = self._submit(page, {"username": self.username, "password": self.password, "repeat": self.password})
        assert done.status_code == 303, done.text
        assert self._get(done.headers["location"]).status_code == 200

    def decide(self, url: str, *, decision: str = "approve") -> str:
        """Open an authorization URL, log in if asked, press a button; return where the client is sent."""
        response = self._get(url)
        for _ in range(20):
            if response.is_redirect:
                location = response.headers["location"]
                if not location.startswith(("/", self.origin, self.issuer or "/")):
                    return location
                response = self._get(str(response.url.join(location)))
                continue
            assert response.status_code == 200, response.text
            fields = {"decision": decision} if 'name="decision"' in response.text else self._credentials(response.text)
            response = self._submit(response, fields)
        raise AssertionError(f"still not done at {response.url}")

    def allow_device(self, url: str) -> None:
        """Open the address that a device shows, log in if asked, say that the code is the same, and approve."""
        response = self._get(url)
        for _ in range(20):
            if response.is_redirect:
                response = self._get(str(response.url.join(response.headers["location"])))
            elif 'name="decision"' in response.text:
                done = self._submit(response, {"decision": "approve"})
                assert done.status_code == 200, done.text
                return
            elif 'name="user_code"' in response.text:
                response = self._submit(response, {})
            else:
                response = self._submit(response, self._credentials(response.text))
        raise AssertionError(f"still not done at {response.url}")

    def _credentials(self, page: str) -> dict[str, str]:
        if 'name="prompt" value="consent"' in page:
            return {"prompt": "consent"}
        field = "login" if 'name="login"' in page else "username"
        return {field: self.username, "password": self.password}

    def _get(self, url: str) -> httpx2.Response:
        response = self.browser.get(url)
        self.pages.append(response.text)
        return response

    def _submit(self, page: httpx2.Response, answers: dict[str, str]) -> httpx2.Response:
        form = next(form for form in _FORM.findall(page.text) if all(f'name="{name}"' in form for name in answers))
        action = _ACTION.search(form)
        hidden = {}
        for tag in _INPUT.findall(form):
            attributes = {name.lower(): html.unescape(value) for name, value in _ATTRIBUTE.findall(tag)}
            if attributes.get("type") in {"hidden", "checkbox"}:  # every box is ticked to begin with
                hidden[attributes["name"]] = attributes.get("value", "")
        target = html.unescape(action[1]) if action and action[1] else str(page.url)
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.origin))
        response = self.browser.post(str(page.url.join(target)), data={**hidden, **answers}, headers={"Origin": origin})
        self.pages.append(response.text)
        return response


@dataclass
class App:
    """A public client that registers itself and asks for tokens."""

    origin: str
    redirect_uri: str = "http://127.0.0.1:9999/callback"
    name: str = "Test app"
    scope: str | None = None
    client_id: str = ""
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(8))
    http: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = open_http(base_url=self.origin)

    def register(self) -> App:
        """Register dynamically (RFC 7591)."""
        response = self.http.post(
            "/oauth/register", json={"client_name": self.name, "redirect_uris": [self.redirect_uri]}
        )
        assert response.status_code == 201, response.text
        self.client_id = response.json()["client_id"]
        return self

    def authorization_url(self) -> str:
        """Return the URL that the person opens."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "resource": f"{self.origin}/mcp",
        }
        if self.scope is not None:
            query["scope"] = self.scope
        return f"{self.origin}/oauth/authorize?{urlencode(query)}"

    def code_from(self, location: str) -> str:
        """Return the code of an authorization response, checking `state` and `iss` (RFC 9207)."""
        assert location.startswith(self.redirect_uri + "?"), location
        answer = {name: value for name, (value,) in parse_qs(urlsplit(location).query).items()}
        assert set(answer) == {"code", "state", "iss"}, location
        assert (answer["state"], answer["iss"]) == (self.state, self.origin)
        return answer["code"]

    def redeem(self, code: str) -> httpx2.Response:
        """Send the code to the token endpoint."""
        return self.http.post("/oauth/token", data=self.code_form(code))

    def code_form(self, code: str) -> dict[str, str]:
        """Return the token request for a code."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": self.verifier,
        }

    def refresh(self, refresh_token: str) -> httpx2.Response:
        """Send a refresh token to the token endpoint."""
        return self.http.post(
            "/oauth/token",
            data={"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.client_id},
        )

    def call(self, access_token: str, tool: str, arguments: dict[str, object]) -> httpx2.Response:
        """Call a tool in the modern era."""
        return self.http.post(
            "/mcp",
            headers={
                "Authorization": f"Bearer {access_token}",
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": "tools/call",
                "Mcp-Name": tool,
            },
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {
                    "name": tool,
                    "arguments": arguments,
                    "_meta": {
                        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                        "io.modelcontextprotocol/clientInfo": {"name": self.name, "version": "1"},
                        "io.modelcontextprotocol/clientCapabilities": {},
                    },
                },
            },
        )


@dataclass
class DeviceApp:
    """A public client on a device without a browser, which registers itself."""

    origin: str
    name: str = "Test device"
    client_id: str = ""
    codes: dict[str, Any] = field(default_factory=dict)
    http: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = open_http(base_url=self.origin)

    def begin(self) -> dict[str, Any]:
        """Register, ask for both codes and return the answer (RFC 8628 section 3.2)."""
        if not self.client_id:
            asked = {"client_name": self.name, "grant_types": [DEVICE_CODE, "refresh_token"]}
            registered = self.http.post("/oauth/register", json=asked)
            assert registered.status_code == 201, registered.text
            self.client_id = registered.json()["client_id"]
        begun = self.http.post("/oauth/device_authorization", data={"client_id": self.client_id})
        assert begun.status_code == 200, begun.text
        self.codes = begun.json()
        return self.codes

    def poll(self) -> httpx2.Response:
        """Ask for tokens."""
        asked = {"grant_type": DEVICE_CODE, "client_id": self.client_id, "device_code": self.codes["device_code"]}
        return self.http.post("/oauth/token", data=asked)
