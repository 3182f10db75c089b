"""An authorization server in the test's own process that logs everybody in as one person, and checks PKCE."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ISSUER = "https://id.example.com"


class CompanyServer:
    """What the browser would do there is done by `log_in` and `refuse`; the rest is HTTP."""

    def __init__(self, subject: str = "4711", name: str = "Ada") -> None:
        self.person = {"sub": subject, "name": name, "email": "ada@example.com"}
        self._challenges: dict[str, str] = {}
        self.app = Starlette(
            routes=[Route("/token", self._token, methods=["POST"]), Route("/userinfo", self._userinfo)]
        )

    def log_in(self, url: str, *, issuer: str = ISSUER) -> str:
        """Return the URL that the browser is sent back to, with a code."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
        code = f"code-{len(self._challenges)}"
        self._challenges[code] = query["code_challenge"]
        return self._back(query, code=code, iss=issuer)

    def refuse(self, url: str) -> str:
        """Return the URL that the browser is sent back to, with an error."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
        return self._back(query, error="access_denied", iss=ISSUER)

    def _back(self, query: dict[str, str], **answer: str) -> str:
        return f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}"

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        challenge = self._challenges.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if challenge != base64.urlsafe_b64encode(digest).decode().rstrip("="):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "the company's own token", "token_type": "Bearer"})

    async def _userinfo(self, request: Request) -> Response:
        if request.headers["authorization"] != "Bearer the company's own token":
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse(self.person)
