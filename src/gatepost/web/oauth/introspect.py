"""POST /oauth/introspect: resource servers and confidential clients ask whether an access token counts (RFC 7662)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.introspection import INACTIVE, active_token, check_caller, may_know
from gatepost.oauth.records import Client
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.clients import ClientFinder
from gatepost.stores.contract.grants import GrantStore
from gatepost.tokens.opaque import fingerprint
from gatepost.web.oauth.client_assertions import AssertionChecker
from gatepost.web.oauth.client_form import NO_STORE, OTHER_METHODS, method_not_allowed, read_client_form
from gatepost.web.site.api_description import (
    CLIENT_FIELDS,
    CLIENT_FORM_REFUSALS,
    TEXT,
    Responses,
    challenged,
    form,
    json_answer,
    record,
    refusal,
)

INTROSPECT_PATH = "/oauth/introspect"


def introspect_router(
    *,
    clients: ClientFinder,
    grants: GrantStore,
    issuer: str,
    resources: Sequence[ProtectedResource],
    resource_servers: Collection[str],
    now: Callable[[], int],
    assertions: AssertionChecker | None = None,
) -> APIRouter:
    """Return the route of the introspection endpoint.

    Args:
        clients: finds clients.
        grants: where access tokens are looked up, at each request anew.
        issuer: this authorization server.
        resources: the protected resources whose tokens are its own.
        resource_servers: the ids of the clients that may ask about every token.
        now: the clock, whole seconds UTC.
        assertions: judges the assertions of clients with keys; None takes none.
    """
    audiences = frozenset(resource.identifier for resource in resources)

    async def introspect(request: Request) -> Response:
        # 1. Who asks, and about what?
        form = await read_client_form(request, clients=clients, assertions=assertions)
        check_caller(form.client)
        token = form.required("token")

        # 2. Look the token up; the rule decides what the caller may know.
        answer = await _answer(form.client, token)

        # 3. Answer. Whatever is wrong with a token is not for the caller to know (RFC 7662 section 2.2).
        return Response(orjson.dumps(answer), media_type="application/json", headers=NO_STORE)

    async def _answer(caller: Client, token: str) -> dict[str, object]:
        live = await grants.find_access_token(fingerprint(token), now=now())
        if live is None or live.grant_revoked or live.user_disabled:
            return INACTIVE
        if live.resource not in audiences or not may_know(
            caller, owner=live.client_id, resource_servers=resource_servers
        ):
            return INACTIVE
        return active_token(
            issuer=issuer,
            subject=live.subject,
            client_id=live.client_id,
            resource=live.resource,
            scopes=live.scopes,
            expires_at=live.expires_at,
        )

    return _routed(introspect)


def _routed(introspect: Callable[[Request], Awaitable[Response]]) -> APIRouter:
    router = APIRouter(tags=["OAuth"])
    router.add_api_route(
        INTROSPECT_PATH,
        introspect,
        methods=["POST"],
        summary="Ask whether an access token counts (RFC 7662); clients with a secret only",
        operation_id="introspect",
        responses=_RESPONSES,
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    router.add_api_route(INTROSPECT_PATH, method_not_allowed, methods=OTHER_METHODS, include_in_schema=False)
    return router


_REQUEST_BODY = form(
    {
        "token": {"type": "string", "description": "an access token"},
        "token_type_hint": {"type": "string", "description": "not needed"},
        **CLIENT_FIELDS,
    },
    required=["token"],
)
_RESPONSES: Responses = {
    200: json_answer(
        "`active` says whether it counts; the rest is there only if it does.",
        record(
            {
                "active": {"type": "boolean"},
                "scope": TEXT,
                "client_id": TEXT,
                "token_type": {"type": "string", "enum": ["Bearer"]},
                "exp": {"type": "integer", "description": "Seconds UTC."},
                "sub": TEXT,
                "aud": TEXT,
                "iss": TEXT,
            },
            required=["active"],
        ),
    ),
    **CLIENT_FORM_REFUSALS,
    401: challenged(refusal("The caller is unknown, public, or failed to authenticate: `invalid_client`.")),
}
