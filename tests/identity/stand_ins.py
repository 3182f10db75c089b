"""Stand-ins for login providers that nobody can start here: they answer in the shapes that those document or send.

Each takes exactly the parameters that it knows, with the values that it expects, and refuses everything else, at its
authorization endpoint as at its token endpoint: an unknown parameter, a missing one, a second value, a verifier that
does not fit, another redirect URI, another way to authenticate the client, a code that was used.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
from joserfc import jws
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatepost.identity.provider import IdentityProvider, Surroundings
from gatepost.stores.contract.users import User
from tests.identity.openid_issuer import Network, query_of
from tests.web.pages.pages_world import World, make_world

CLIENT_ID = "gatepost-1"
SECRET = "s3cret~1"
ANYTHING = None
"""Of a parameter: some value."""
KEYS = [RSAKey.generate_key(2048, parameters={"kid": kid}) for kid in ("one", "two", "three")]


def callback(name: str) -> str:
    """Return the redirect URI of a provider of that name."""
    return f"https://mcp.example.com/oauth/login/{name}/callback"


class StandIn:
    """An authorization server of the code flow."""

    authorization_endpoint: str
    token_path: str
    scope: str
    by_header = False
    """Whether the client authenticates with HTTP Basic; else in the form."""
    also: Mapping[str, str | None] = {}
    """What an authorization request has to say beside what every one says."""
    may: Mapping[str, Sequence[str]] = {"prompt": ("select_account",)}
    """What it may say, with the values it may have."""
    answers: Mapping[str, str] = {}
    """What the answer says beside code and state."""
    spent: tuple[Mapping[str, object], int] = ({"error": "invalid_grant"}, 400)
    """What is answered to a code that is over, and the status."""

    def __init__(self, name: str, clock: Callable[[], int]) -> None:
        self.redirect_uri = callback(name)
        self.clock = clock
        self.asked: list[str] = []
        self.instead: dict[str, Response] = {}
        self._codes: dict[str, dict[str, str]] = {}

    def hosts(self) -> dict[str, Starlette]:
        """Return its servers by host, dots written as underscores."""
        raise NotImplementedError

    def authorize(self, url: str, **changes: str) -> str:
        """Return where the browser is sent, with a code or an error; `changes` are of the answer."""
        asked = query_of(url)
        expected: dict[str, str | None] = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": ANYTHING,
            "code_challenge": ANYTHING,
            "code_challenge_method": "S256",
            **self.also,
        }
        taken = expected.keys() | self.may.keys()
        if (
            url.partition("?")[0] != self.authorization_endpoint
            or not expected.keys() <= asked.keys() <= taken
            or any(value not in {ANYTHING, asked[name]} for name, value in expected.items())
            or any(asked[name] not in values for name, values in self.may.items() if name in asked)
        ):
            answer = {"error": "invalid_request", "state": asked.get("state", ""), **self.answers}
        else:
            code = f"4/0&{len(self._codes)}"
            self._codes[code] = asked
            answer = {"code": code, "state": asked["state"], **self.answers, **changes}
        return f"{self.redirect_uri}?{urlencode({name: value for name, value in answer.items() if value})}"

    def served(self, **paths: Callable[[Request], Awaitable[Response]]) -> Starlette:
        """Return a server of these paths, `__` for a slash."""

        def one(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
            async def answer(request: Request) -> Response:
                self.asked.append(request.url.path)
                return self.instead.get(request.url.path) or await endpoint(request)

            return answer

        routes = [
            Route(path.replace("__", "/"), one(endpoint), methods=["GET", "POST"]) for path, endpoint in paths.items()
        ]
        return Starlette(routes=routes)

    async def token(self, request: Request) -> Response:
        """Redeem a code."""
        pairs = parse_qsl((await request.body()).decode(), strict_parsing=True)
        form = dict(pairs)
        kind, _, pair = request.headers.get("authorization", "").partition(" ")
        if self.by_header:
            own = (kind, base64.b64decode(pair).decode()) == ("Basic", f"{CLIENT_ID}:{SECRET}")
            named: set[str] = set()
        else:
            own = (kind, form.get("client_id"), form.get("client_secret")) == ("", CLIENT_ID, SECRET)
            named = {"client_id", "client_secret"}
        if request.method != "POST" or not own:
            return JSONResponse({"error": "invalid_client"}, 401)
        names = named | {"grant_type", "code", "redirect_uri", "code_verifier"}
        right = {"grant_type": "authorization_code", "redirect_uri": self.redirect_uri}
        if len(pairs) != len(form) or form.keys() != names or not right.items() <= form.items():
            return JSONResponse({"error": "invalid_request"}, 400)
        asked = self._codes.pop(form["code"], {"code_challenge": ""})
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            content, status = self.spent
            return JSONResponse(content, status)
        return JSONResponse(self.tokens(asked))

    def tokens(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Return the token answer."""
        return {"access_token": "theirs", "token_type": "Bearer", "expires_in": 3599, "scope": asked["scope"]}

    def knows(self, request: Request) -> bool:
        """Say whether a request has the access token."""
        return request.method == "GET" and request.headers.get("authorization") == "Bearer theirs"


class OpenIDStandIn(StandIn):
    """One that signs ID tokens."""

    also: Mapping[str, str | None] = {"nonce": ANYTHING}
    scope = "openid profile email"
    issuer: str

    def __init__(self, name: str, clock: Callable[[], int]) -> None:
        super().__init__(name, clock)
        self.claims: dict[str, Any] = {}
        """Of the person; over the others in an ID token, where None leaves one out."""
        self.userinfo: dict[str, Any] | None = None
        self.key = KEYS[0]
        self.published = KEYS[:2]
        self.metadata: dict[str, Any] = {}

    async def configuration(self, request: Request) -> Response:
        """Serve the metadata."""
        del request
        return JSONResponse(self.metadata)

    async def keys(self, request: Request) -> Response:
        """Serve the keys."""
        del request
        return JSONResponse({"keys": [self.stated(key) for key in self.published]})

    def stated(self, key: RSAKey) -> dict[str, Any]:
        """Return a key as it is published."""
        return {**key.as_dict(private=False), "use": "sig", "alg": "RS256"}

    async def user_info(self, request: Request) -> Response:
        """Say more of the person, where there is more."""
        if self.userinfo is None or not self.knows(request):
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse(self.userinfo)

    def tokens(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Return the token answer, with an ID token."""
        return {**super().tokens(asked), "id_token": self.id_token(asked)}

    def id_token(self, asked: Mapping[str, str]) -> str:
        """Return a signed ID token for an authorization request."""
        now = self.clock()
        times = {"iat": now, "exp": now + 3600}
        claims = {"iss": self.issuer, "aud": CLIENT_ID, **times, "nonce": asked["nonce"], **self.claims}
        said = {name: value for name, value in claims.items() if value is not None}
        return jws.serialize_compact({"alg": "RS256", "typ": "JWT", "kid": self.key.kid}, json.dumps(said), self.key)


@dataclass
class Elsewhere:
    """The pages with a login provider elsewhere."""

    world: World
    network: Network

    async def go(self, path: str = "/oauth/login") -> tuple[httpx2.AsyncClient, str]:
        """Return a new browser, and where it is sent."""
        browser = self.world.browser()
        return browser, (await browser.get(path)).headers["location"]

    async def log_in(
        self, there: StandIn, path: str = "/oauth/login", **answer: str
    ) -> tuple[httpx2.Response, User | None]:
        """Log in in a new browser; return the answer and who it is logged in as."""
        browser, url = await self.go(path)
        came_back = await browser.get(there.authorize(url, **answer))
        return came_back, (await self.world.session(browser)).user

    async def person(self, there: StandIn) -> User:
        """Log in and return who that is."""
        came_back, user = await self.log_in(there)
        assert user is not None, came_back.text
        return user


@asynccontextmanager
async def elsewhere(
    provider: IdentityProvider, *stand_ins: Callable[[Callable[[], int]], StandIn], allowed: Sequence[str] = ()
) -> AsyncIterator[tuple[Elsewhere, *tuple[Any, ...]]]:
    """Serve the pages with that provider, and these stand-ins; `allowed` is who may enter."""
    world = make_world(provider=provider, allowed=allowed)
    made = [stand_in(lambda: world.now) for stand_in in stand_ins]
    network = Network(**{host: app for one in made for host, app in one.hosts().items()})
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, network))
    yield Elsewhere(world, network), *made
    for browser in world.browsers:
        await browser.aclose()
