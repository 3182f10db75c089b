"""POST /oauth/revoke: a client gives a token back, and the whole grant ends with it (RFC 7009)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.oauth.revocation import check_revocation
from gatepost.stores.contract.approvals import ApprovalStore
from gatepost.stores.contract.clients import ClientFinder
from gatepost.stores.contract.grants import GrantStore
from gatepost.tokens.opaque import fingerprint
from gatepost.web.oauth.client_assertions import AssertionChecker
from gatepost.web.oauth.client_form import NO_STORE, OTHER_METHODS, method_not_allowed, read_client_form
from gatepost.web.site.api_description import CLIENT_FIELDS, CLIENT_FORM_REFUSALS, Responses, form, later, refusal
from gatepost.web.site.audit import NO_AUDIT, Audit

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
        response_class=Response,  # which documents no JSON body
        responses=_RESPONSES,
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    router.add_api_route(REVOKE_PATH, method_not_allowed, methods=OTHER_METHODS, include_in_schema=False)
    return router


_REQUEST_BODY = form(
    {
        "token": {"type": "string", "description": "an access token or a refresh token"},
        "token_type_hint": {"type": "string", "description": "not needed"},
        **CLIENT_FIELDS,
    },
    required=["token"],
)
_RESPONSES: Responses = {
    200: {"description": "The token does not count any more, durably; or it never did."},
    **CLIENT_FORM_REFUSALS,
    503: later(refusal("The store cannot answer now; the token still counts. Ask again.")),
}
