"""POST /oauth/revoke: a client gives a token back, and the whole grant ends with it (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.oauth.revocation import check_end_of_exchanged, check_revocation
from gatepost.oauth.token_exchange import ExchangedToken
from gatepost.stores.contract.approvals import ApprovalStore
from gatepost.stores.contract.exchanges import ExchangeStore
from gatepost.stores.contract.grants import GrantStore
from gatepost.tokens.opaque import token_fingerprint
from gatepost.web.oauth.client_form import ClientForms
from gatepost.web.site import api_description as api
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.limits import TOKEN_LIMIT
from gatepost.web.site.plain_answers import NO_STORE
from gatepost.web.site.routing import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeEndpoint:
    """The revocation endpoint."""

    client_forms: ClientForms
    grants: GrantStore
    approvals: ApprovalStore
    exchanges: ExchangeStore
    now: Callable[[], int]
    on_revocation: Callable[[], None]
    """Called as soon as a grant is revoked, so that no cache in this process answers for it."""
    audit: Audit = NO_AUDIT

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/oauth/revoke", self.post, _REVOKE, limit=TOKEN_LIMIT),)

    async def post(self, request: Request) -> Response:
        # 1. Who asks, and about what? A public client names itself and has no secret to send (RFC 7009 section 2.1).
        form = await self.client_forms.read(request)

        # 2. Look the token up. `token_type_hint` would save one look-up in two; a wrong one must not matter.
        token = form.required("token")
        fingerprints = [token_fingerprint(token, is_bound=is_bound) for is_bound in (False, True)]
        found = await self.approvals.find_grant_of_token(fingerprints[0])
        if found is None:
            found = await self.approvals.find_grant_of_token(fingerprints[1])
        for each in fingerprints if found is None else ():
            if (exchanged := await self.exchanges.find_exchanged_token(each)) is not None:
                await self._end(request, exchanged, client_id=form.client.client_id)
                return Response(headers=NO_STORE)

        # 3. The rule decides.
        grant = check_revocation(found, client_id=form.client.client_id)

        # 4. Revoke. The answer below is sent when this is durable, and not before.
        if grant is not None:
            await self.grants.revoke_grant(grant.grant_id, reason=Reason.CLIENT_REVOKED.value, now=self.now())
            self.on_revocation()
            await self.audit.record(
                request,
                AuditEvent.REVOCATION,
                reason=Reason.CLIENT_REVOKED,
                subject=grant.subject,
                client_id=grant.client_id,
                grant_id=grant.grant_id,
            )

        # 5. Answer; an unknown token is as dead as one could wish (RFC 7009 section 2.2).
        return Response(headers=NO_STORE)

    async def _end(self, request: Request, token: ExchangedToken, *, client_id: str) -> None:
        """End one token that was given for another, and nothing else of its grant."""
        check_end_of_exchanged(token, client_id=client_id)
        if await self.exchanges.end_exchanged_token(token.token_fingerprint):
            self.on_revocation()
            await self.audit.record(
                request,
                AuditEvent.REVOCATION,
                reason=Reason.CLIENT_REVOKED,
                client_id=client_id,
                grant_id=token.grant_id,
            )


_REVOKE = api.Operation(
    "revoke",
    "Give a token back: everything its grant gave ends (RFC 7009)",
    request_body=api.form(
        {
            "token": api.text("an access token or a refresh token"),
            "token_type_hint": api.text("not needed"),
            **api.CLIENT_FIELDS,
        },
        required=["token"],
    ),
    responses={
        200: {"description": "The token does not count any more, durably; or it never did."},
        **api.CLIENT_FORM_REFUSALS,
        503: api.later(api.refusal("The store cannot answer now; the token still counts. Ask again.")),
    },
)
