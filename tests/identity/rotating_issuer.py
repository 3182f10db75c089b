"""An OpenID provider that replaces refresh tokens at each use, and ends the whole family when one is used again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.identity.openid_issuer import OpenIDIssuer


@dataclass
class Family:
    """What one login gave."""

    number: int
    access_tokens: list[str] = field(default_factory=list[str])
    refresh_tokens: list[str] = field(default_factory=list[str])
    """The last one counts."""
    is_ended: bool = False


class RotatingIssuer(OpenIDIssuer):
    """Counts its refreshes; what is to go wrong with them is said beforehand."""

    scope = "openid profile email offline_access"

    def __init__(self, issuer: str, clock: list[int], *, name: str = "oidc") -> None:
        super().__init__(issuer, clock, name=name)
        self.metadata["revocation_endpoint"] = f"{issuer}/revoke"
        self._paths["/revoke"] = self._revoke
        self.app.router.routes.append(Route("/revoke", self._answer, methods=["POST"]))
        self.families: list[Family] = []
        self.tail = ""
        """With which all tokens end."""
        self.lifetime: Any = 3600
        """Of access tokens, as `expires_in` says it; None leaves it out."""
        self.refresh_lifetime: int | None = None
        self.gives_refresh_tokens = True
        self.rotates = True
        self.refreshes = 0
        """How often it was asked for new tokens, whatever it answered."""
        self.revoked: list[dict[str, str]] = []
        self.fails_with: Response | None = None
        """What a refresh is answered; nothing is used up."""
        self.loses_answers = 0
        """How many times it uses a refresh token up and answers nothing that arrives."""
        self.asked_for_new = asyncio.Event()
        """Set at the first refresh."""
        self.goes_on = asyncio.Event()
        """A refresh waits for it."""
        self.goes_on.set()

    def is_good(self, access_token: str, number: int = -1) -> bool:
        """Say whether it is the newest access token of a login."""
        family = self.families[number]
        return not family.is_ended and family.access_tokens[-1] == access_token

    def _tokens(self, family: Family) -> dict[str, Any]:
        family.access_tokens.append(f"at-{family.number}-{len(family.access_tokens)}{self.tail}")
        answer: dict[str, Any] = {"access_token": family.access_tokens[-1], "token_type": "Bearer"}
        if self.lifetime is not None:
            answer["expires_in"] = self.lifetime
        if self.gives_refresh_tokens and (self.rotates or not family.refresh_tokens):
            family.refresh_tokens.append(f"rt-{family.number}-{len(family.refresh_tokens)}{self.tail}")
            answer["refresh_token"] = family.refresh_tokens[-1]
            if self.refresh_lifetime is not None:
                answer["refresh_token_expires_in"] = self.refresh_lifetime
        return answer

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        if form.get("grant_type") == "refresh_token":
            return await self._refresh(form)
        answered = await super()._token(request)
        if answered.status_code != 200:
            return answered
        self.families.append(Family(len(self.families)))
        login = json.loads(bytes(answered.body))
        del login["expires_in"]
        # Its userinfo knows the one access token; the others are for other things.
        return JSONResponse({**login, **self._tokens(self.families[-1])})

    async def _refresh(self, form: dict[str, str]) -> Response:
        self.refreshes += 1
        self.asked_for_new.set()
        await asyncio.wait_for(self.goes_on.wait(), 30)
        if self.fails_with is not None:
            return self.fails_with
        family = next((one for one in self.families if form["refresh_token"] in one.refresh_tokens), None)
        if family is None or family.is_ended or form["refresh_token"] != family.refresh_tokens[-1]:
            if family is not None:
                family.is_ended = True
            return JSONResponse({"error": "invalid_grant", "error_description": form["refresh_token"]}, 400)
        answer = self._tokens(family)
        if self.loses_answers:
            self.loses_answers -= 1
            return Response("the connection broke", 200)
        return JSONResponse(answer)

    async def _revoke(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        self.revoked.append(form)
        for family in self.families:
            if form["token"] in family.refresh_tokens + family.access_tokens:
                family.is_ended = True
        return Response(status_code=200)

    async def _userinfo(self, request: Request) -> Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        if not any(token in family.access_tokens for family in self.families):
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse(self.userinfo)
