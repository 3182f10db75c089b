"""An OpenID provider in the test's own process: it refuses every wrong parameter, and says what the test wants."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CLIENT_ID = "gatepost +1"
SECRET = "s3cret: 50%"
"""With characters that RFC 6749 section 2.3.1 encodes."""


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of a URL, each of which is there once."""
    pairs = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


class OpenIDIssuer:
    """What the browser would do there is done by `log_in` and `refuse`; the rest is HTTP."""

    scope = "openid profile email"
    """What an authorization request has to ask for."""

    def __init__(self, issuer: str, clock: list[int], *, name: str = "oidc") -> None:
        self.issuer = issuer
        self.clock = clock
        self.redirect_uri = f"https://mcp.example.com/oauth/login/{name}/callback"
        self.metadata: dict[str, Any] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize?tenant=1",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "authorization_response_iss_parameter_supported": True,
        }
        self.claims: dict[str, Any] = {}
        """Put over those of an ID token; a claim that is None is left out."""
        self.userinfo: dict[str, Any] = {"sub": "4711", "name": "Ada", "email": "ada@example.com", "groups": ["staff"]}
        self.key = self.published = ECKey.generate_key("P-256", parameters={"kid": "1"})
        self.instead: dict[str, Response] = {}
        """What a path answers in place of what it should."""
        self.asked: list[str] = []
        self.authentication: tuple[str, list[str], list[str]] = ("Basic", [CLIENT_ID, SECRET], [])
        """Scheme, client id and secret of the header, and those of the form."""
        self._codes: dict[str, dict[str, str]] = {}
        paths = {
            "/.well-known/openid-configuration": self._metadata,
            "/jwks": self._jwks,
            "/token": self._token,
            "/userinfo": self._userinfo,
        }
        self.app = Starlette(
            routes=[Route(path, self._answer, methods=["GET", "POST"]) for path in paths],
        )
        self._paths = paths

    def rotate(self, *, kid: str | None = "2") -> None:
        """Sign with a new key and publish it alone."""
        self.key = self.published = ECKey.generate_key("P-256", parameters=None if kid is None else {"kid": kid})

    def log_in(self, url: str, **changes: str) -> str:
        """Return where the browser is sent with a code; `changes` are of the answer."""
        asked = query_of(url)
        assert url.startswith(f"{self.issuer}/authorize?tenant=1&")
        expected = {
            "tenant": "1",
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "code_challenge_method": "S256",
        }
        assert {name: value for name, value in asked.items() if name in expected} == expected
        assert asked.keys() - expected.keys() - {"prompt"} == {"state", "nonce", "code_challenge"}
        code = f"code&{len(self._codes)}"
        self._codes[code] = asked
        return self.back(url, **{"code": code, "iss": self.issuer, **changes})

    def back(self, url: str, **answer: str) -> str:
        """Return where the browser is sent with this answer; what is empty is left out."""
        sent = {"state": query_of(url)["state"], **answer}
        return f"{self.redirect_uri}?{urlencode({name: value for name, value in sent.items() if value})}"

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(path)
        if path in self.instead:
            return self.instead[path]
        found: Response = await self._paths[path](request)
        return found

    async def _metadata(self, request: Request) -> Response:
        del request
        return JSONResponse(self.metadata)

    async def _jwks(self, request: Request) -> Response:
        del request
        return JSONResponse({"keys": [{**self.published.as_dict(private=False), "use": "sig"}]})

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        kind, _, pair = request.headers.get("authorization", "").partition(" ")
        by_header = [unquote_plus(part) for part in base64.b64decode(pair).decode().split(":")]
        by_form = [form[name] for name in ("client_id", "client_secret") if name in form]
        if (kind, by_header, by_form) != self.authentication:
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        right = {"grant_type": "authorization_code", "redirect_uri": self.redirect_uri}
        if asked is None or challenge != asked["code_challenge"] or not right.items() <= form.items():
            return JSONResponse({"error": "invalid_grant"}, 400)
        answer = {"access_token": "theirs", "token_type": "Bearer", "expires_in": 60, "id_token": self.id_token(asked)}
        return JSONResponse(answer)

    def id_token(self, asked: Mapping[str, str]) -> str:
        """Return a signed ID token for an authorization request."""
        now = self.clock[0]
        claims = {"iss": self.issuer, "sub": "4711", "aud": CLIENT_ID, "iat": now, "exp": now + 60, **self.claims}
        claims.setdefault("nonce", asked["nonce"])
        said = {name: value for name, value in claims.items() if value is not None}
        kid = {} if self.key.kid is None else {"kid": self.key.kid}
        return jws.serialize_compact({"alg": "ES256", **kid}, json.dumps(said), self.key)

    async def _userinfo(self, request: Request) -> Response:
        if request.headers["authorization"] != "Bearer theirs":
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse(self.userinfo)


class Network(httpx2.AsyncBaseTransport):
    """The internet, where there are these servers by host and nobody else."""

    def __init__(self, **hosts: Any) -> None:
        self.hosts: dict[str, Any] = {name.replace("_", "."): app for name, app in hosts.items()}

    def __call__(self, _url: str) -> httpx2.AsyncBaseTransport:
        return self

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        app = self.hosts.get(request.url.host)
        if app is None:
            raise httpx2.ConnectError("nobody is there", request=request)
        return await httpx2.ASGITransport(app=app).handle_async_request(request)
