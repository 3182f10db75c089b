"""GET /oauth/jwks: the public halves of the keys that sign access tokens (RFC 7517 section 5, RFC 8414 section 2)."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from gatepost.stores.signing_keys import JWKS_MAX_AGE, SigningKeys
from gatepost.tokens.signing import public_jwk
from gatepost.web.site.api_description import TEXT, UNAVAILABLE, Responses, json_answer, record

JWKS_PATH = "/oauth/jwks"


def jwks_router(*, keys: SigningKeys) -> APIRouter:
    """Return the route. It shows keys before they sign, and until their last token is dead."""

    async def jwks() -> Response:
        known = await keys.current()
        document = orjson.dumps({"keys": [public_jwk(key) for key in known.keys.values()]})
        headers = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE}"}
        return Response(document, media_type="application/json", headers=headers)

    router = APIRouter(tags=["Discovery"])
    router.add_api_route(
        JWKS_PATH,
        jwks,
        methods=["GET"],
        summary="The keys that sign access tokens (RFC 7517)",
        operation_id="jwks",
        responses=_RESPONSES,
    )
    router.add_api_route(JWKS_PATH, jwks, methods=["HEAD"], include_in_schema=False)
    return router


_KEY = record({"kty": TEXT, "kid": TEXT, "use": TEXT, "alg": TEXT}, required=["kty", "kid", "use", "alg"])
_SET = record({"keys": {"type": "array", "items": _KEY}}, required=["keys"])
_RESPONSES: Responses = {200: json_answer("The set.", _SET), **UNAVAILABLE}
