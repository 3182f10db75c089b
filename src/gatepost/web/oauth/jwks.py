"""The public halves of the keys that sign access tokens (RFC 7517 section 5, RFC 8414 section 2)."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.stores.signing_keys import JWKS_MAX_AGE, SigningKeys
from gatepost.tokens.signing import public_jwk
from gatepost.web.site import api_description as api
from gatepost.web.site.routing import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksEndpoint:
    """The JWK set. It shows keys before they sign, and until their last token is dead."""

    keys: SigningKeys

    def routes(self) -> tuple[Route, ...]:
        # The second is where people, and libraries that read no metadata, look for it.
        return (
            Route("GET", "/oauth/jwks", self.get, _JWKS),
            Route("GET", "/.well-known/jwks.json", self.get),
        )

    async def get(self, _request: Request) -> Response:
        known = await self.keys.current()
        document = orjson.dumps({"keys": [public_jwk(key) for key in known.keys.values()]})
        headers = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE}", "X-Content-Type-Options": "nosniff"}
        return Response(document, media_type="application/json", headers=headers)


_KEY = api.record(
    {"kty": api.TEXT, "kid": api.TEXT, "use": api.TEXT, "alg": api.TEXT}, required=["kty", "kid", "use", "alg"]
)
_SET = api.record({"keys": {"type": "array", "items": _KEY}}, required=["keys"])
_JWKS = api.Operation(
    "jwks",
    "The keys that sign access tokens (RFC 7517)",
    tag="Discovery",
    responses={200: api.json_answer("The set.", _SET), **api.UNAVAILABLE},
)
