"""The pages with accounts of the server's own beside two OpenID providers, `a` and `b`, and people who have logins."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
from starlette.requests import Request

from gatepost.identity.openid_connect import OpenIDConnect
from gatepost.identity.provider import IdentityProvider, LoginField, Surroundings
from gatepost.identity.several_logins import SeveralLogins
from gatepost.stores.contract.linked_logins import LoginKey
from gatepost.stores.contract.users import LOCAL, User, UserStore
from gatepost.tokens.opaque import fingerprint
from tests.identity.openid_issuer import CLIENT_ID, SECRET, Network, OpenIDIssuer
from tests.identity.rotating_issuer import RotatingIssuer
from tests.web.pages.pages_world import Form, World, make_world

ACCOUNT = "/oauth/account"
PASSWORD = "correct horse battery"
NAMES = ("a", "b")


@dataclass
class Locals(IdentityProvider):
    """Local accounts whose passwords are all one, so that a test of pages need not hash any."""

    users: UserStore
    name: str = LOCAL
    login_fields: tuple[LoginField, ...] = (
        LoginField("username", "Username"),
        LoginField("password", "Password", secret=True),
    )

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> User | None:
        del request
        user = await self.users.find_user(credentials.get("username", ""))
        return user if user is not None and credentials["password"] == PASSWORD and user.disabled_at is None else None


@dataclass
class LinkingWorld:
    world: World
    issuers: dict[str, OpenIDIssuer]
    browsers: list[httpx2.AsyncClient] = field(default_factory=list)

    def browser(self) -> httpx2.AsyncClient:
        """Return a browser that has never been here."""
        self.browsers.append(self.world.browser())
        return self.browsers[-1]

    async def add(self, name: str) -> User:
        """Make a local account."""
        user = User(f"user_{name}", LOCAL, f"user_{name}", self.world.now, username=name, password_hash="$argon2id$")
        assert await self.world.store.users.add_user(user)
        return user

    async def log_in(self, browser: httpx2.AsyncClient, name: str, path: str = "/oauth/login") -> httpx2.Response:
        """Log in with a password."""
        form = Form((await browser.get(path)).text)
        return await browser.post(form.action or "", data={**form.fields, "username": name, "password": PASSWORD})

    async def come_by(self, browser: httpx2.AsyncClient, issuer: str, sub: str = "4711") -> httpx2.Response:
        """Log in at an OpenID provider."""
        went = await browser.get(f"/oauth/login?switch=1&with={issuer}")
        return await self.answer(browser, went.headers["location"], sub)

    async def answer(self, browser: httpx2.AsyncClient, there: str, sub: str = "4711") -> httpx2.Response:
        """Log in where the browser was sent, and come back."""
        issuer = next(each for each in self.issuers.values() if there.startswith(each.issuer))
        issuer.claims = {"sub": sub, "name": f"{sub} there"}
        issuer.userinfo = {**issuer.userinfo, "sub": sub}
        return await browser.get(issuer.log_in(there))

    async def go(self, browser: httpx2.AsyncClient, issuer: str, path: str | None = None) -> str:
        """Press the button of a link page; return where the browser is sent."""
        form = Form((await browser.get(path or f"{ACCOUNT}/link/{issuer}")).text)
        went = await browser.post(form.action or "", data=form.fields)
        assert went.status_code == 303, went.text
        return went.headers["location"]

    async def link(
        self, browser: httpx2.AsyncClient, issuer: str, sub: str = "4711", path: str | None = None
    ) -> httpx2.Response:
        """Link a login."""
        return await self.answer(browser, await self.go(browser, issuer, path), sub)

    async def unlink(self, browser: httpx2.AsyncClient, key: LoginKey) -> httpx2.Response:
        """Press the button of a login, there or not."""
        return await browser.post(
            f"{ACCOUNT}/logins", data={"csrf_token": await self.token(browser), "login": key_id(key)}
        )

    async def token(self, browser: httpx2.AsyncClient) -> str:
        """Return the token of the form that unlinks."""
        page = (await browser.get(ACCOUNT)).text
        found = re.search(r'action="/oauth/account/logins".*?value="([^"]+)"', page, re.DOTALL)
        assert found is not None, page
        return found[1]

    async def who(self, browser: httpx2.AsyncClient) -> str | None:
        """Return whom the account page greets; None where nobody is logged in."""
        page = await browser.get(ACCOUNT)
        if page.status_code == 303:
            assert page.headers["location"] == "/oauth/login"
            return None
        user = (await self.world.session(browser)).user
        assert user is not None
        return user.subject

    async def logins(self, subject: str) -> list[LoginKey]:
        """Return the logins of a person."""
        return [login.key for login in await self.world.store.linked_logins.list_logins(subject)]

    def serve(self, *, names: Sequence[str] = NAMES, local: bool = True, allowed: Sequence[str] = ()) -> LinkingWorld:
        """Serve the same store once more, with these providers."""
        return _serve(self.world, names=names, local=local, allowed=allowed)

    async def close(self) -> None:
        """Close the browsers."""
        for browser in self.world.browsers:
            await browser.aclose()


def key_of(issuer: str, sub: str = "4711") -> LoginKey:
    """Return the login of a person at `a` or `b`."""
    return LoginKey(f"https://{issuer}.example", sub)


def key_id(key: LoginKey) -> str:
    """Return by what a form names a login."""
    return fingerprint("\0".join(key)).hex()


def _serve(
    base: World,
    *,
    names: Sequence[str] = NAMES,
    local: bool = True,
    allowed: Sequence[str] = (),
    keep_tokens: Sequence[str] = (),
) -> LinkingWorld:
    logins = [
        OpenIDConnect(f"https://{name}.example", CLIENT_ID, SECRET, name=name, keep_tokens=name in keep_tokens)
        for name in names
    ]
    provider = SeveralLogins(logins, Locals(base.store.users) if local else None)
    world = make_world(provider=provider, store_of=base, allowed=allowed)
    world.now = base.now
    kinds: dict[str, type[OpenIDIssuer]] = dict.fromkeys(keep_tokens, RotatingIssuer)
    issuers = {name: kinds.get(name, OpenIDIssuer)(f"https://{name}.example", [world.now], name=name) for name in names}
    network = Network(**{f"{name}_example": issuer.app for name, issuer in issuers.items()})
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, network))
    return LinkingWorld(world, issuers)


@asynccontextmanager
async def linking_world(
    *,
    names: Sequence[str] = NAMES,
    local: bool = True,
    allowed: Sequence[str] = (),
    keep_tokens: Sequence[str] = (),
) -> AsyncIterator[LinkingWorld]:
    """Serve the pages; there are the accounts of ada and bob."""
    linking = _serve(make_world(), names=names, local=local, allowed=allowed, keep_tokens=keep_tokens)
    await linking.add("ada")
    await linking.add("bob")
    yield linking
    await linking.close()
