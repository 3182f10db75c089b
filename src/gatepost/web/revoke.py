"""POST /oauth/revoke: a client gives a token back, and the whole grant ends with it (RFC 7009)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.oauth.revocation import check_revocation
from gatepost.stores.approval_protocols import ApprovalStore
from gatepost.stores.client_protocols import ClientFinder
from gatepost.stores.protocols import GrantStore
from gatepost.tokens.opaque import fingerprint
from gatepost.web.audit import NO_AUDIT, Audit
from gatepost.web.client_assertions import AssertionChecker
from gatepost.web.client_form import NO_STORE, OTHER_METHODS, method_not_allowed, read_client_form

REVOKE_PATH = "/oauth/revoke"


def revoke_router(
    *,
    clients: ClientFinder,
    grants: GrantStore,
    approvals: ApprovalStore,
    now: Callable[[], int],
    on_revocation: Callable[[], None],
    audit: Audit = NO_AUDIT,
    assertions: AssertionChecker | None = None,
) -> APIRouter:
    """Return the route of the revocation endpoint.

    Args:
        clients: finds clients.
        grants: where grants are revoked.
        approvals: where a token's grant is found.
        now: the clock, whole seconds UTC.
        on_revocation: called as soon as a grant is revoked, so that no cache in this process answers for it.
        audit: is told of every revocation.
        assertions: judges the assertions of clients with keys; None takes none.
    """

    async def revoke(request: Request) -> Response:
        # 1. Who asks, and about what? A public client names itself and has no secret to send (RFC 7009 section 2.1).
        form = await read_client_form(request, clients=clients, assertions=assertions)

        # 2. Look the token up. `token_type_hint` would save one look-up in two; a wrong one must not matter.
        found = await approvals.find_grant_of_token(fingerprint(form.required("token")))

        # 3. The rule decides.
        grant = check_revocation(found, client_id=form.client.client_id)

        # 4. Revoke. The answer below is sent when this is durable, and not before.
        if grant is not None:
            await grants.revoke_grant(grant.grant_id, reason=Reason.CLIENT_REVOKED.value, now=now())
            on_revocation()
            await audit.record(
                request,
                AuditEvent.REVOCATION,
                reason=Reason.CLIENT_REVOKED,
                subject=grant.subject,
                client_id=grant.client_id,
                grant_id=grant.grant_id,
            )

        # 5. Answer; an unknown token is as dead as one could wish (RFC 7009 section 2.2).
        return Response(headers=NO_STORE)

    return _routed(revoke)


def _routed(revoke: Callable[[Request], Awaitable[Response]]) -> APIRouter:
    router = APIRouter(tags=["OAuth"])
    router.add_api_route(
        REVOKE_PATH,
        revoke,
        methods=["POST"],
        summary="Give a token back: everything its grant gave ends (RFC 7009)",
        operation_id="revoke",
        responses=_RESPONSES,
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    router.add_api_route(REVOKE_PATH, method_not_allowed, methods=OTHER_METHODS, include_in_schema=False)
    return router


_REQUEST_BODY = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["token"],
                "properties": {
                    "token": {"type": "string", "description": "an access token or a refresh token"},
                    "token_type_hint": {"type": "string", "description": "not needed"},
                    "client_id": {"type": "string", "description": "required unless HTTP Basic is used"},
                    "client_secret": {"type": "string", "description": "clients with client_secret_post only"},
                },
            }
        }
    },
}
_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"description": "The token does not count any more, durably; or it never did."},
    400: {"description": "Refused: no token was sent, or it is another client's (RFC 6749 section 5.2)."},
    401: {"description": "The client is unknown or failed to authenticate: `invalid_client`."},
    413: {"description": "The body is too large."},
    429: {"description": "This address asks too often; try again after `Retry-After` seconds."},
    503: {"description": "The store cannot answer now; the token still counts. Try again after `Retry-After` seconds."},
}
