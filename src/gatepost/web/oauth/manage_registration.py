"""GET, PUT and DELETE /oauth/register/{client_id}: a client manages its registration (RFC 7592 section 2)."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.limits import REGISTRATIONS_OF_ALL
from gatepost.oauth.records import Client
from gatepost.oauth.registration import requires_pushed_requests
from gatepost.oauth.registration_management import check_manager, read_update, updated_client, wrong_token
from gatepost.tokens.opaque import SecretKind
from gatepost.web.oauth.client_registry import (
    INFORMATION,
    METADATA_REFUSED,
    REGISTER_PATH,
    UPDATE,
    ClientRegistry,
    bearer_token,
    read_document,
)
from gatepost.web.oauth.grants.grant_type import registrable
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import REGISTRATION_LIMIT, Limits
from gatepost.web.site.plain_answers import NO_STORE
from gatepost.web.site.routing import Route

_PATH = REGISTER_PATH + "/{client_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageRegistrationEndpoint:
    """The client configuration endpoint, whether or not others may still register."""

    registry: ClientRegistry
    limits: Limits
    """Counts changes of all addresses together: each leaves an audit event, whoever makes it."""
    on_revocation: Callable[[], None]
    """Called when a client has removed itself, so that no cache in this process answers for its tokens."""

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", _PATH, self.get, _GET, limit=REGISTRATION_LIMIT),
            Route("PUT", _PATH, self.put, _PUT, limit=REGISTRATION_LIMIT),
            Route("DELETE", _PATH, self.delete, _DELETE, limit=REGISTRATION_LIMIT),
        )

    async def get(self, request: Request) -> Response:
        client, token = await self._client(request)
        return self.registry.response(client, token=token, secret=None)

    async def put(self, request: Request) -> Response:
        # 1. Is it the client itself?
        client, token = await self._client(request)
        await self.limits.admit("change-registration:all", REGISTRATIONS_OF_ALL)

        # 2. The rules decide what the update comes to.
        registry = self.registry
        document = await read_document(request)
        metadata = read_update(
            document,
            client,
            known_scopes=registry.known_scopes,
            grant_types=registrable(registry.grant_types),
        )

        # 3. Replace the registration in one step.
        needs_first_secret = metadata.needs_secret and client.secret_fingerprint is None
        secret, new_fingerprint = registry.mint(SecretKind.CLIENT_SECRET) if needs_first_secret else (None, None)
        changed = updated_client(
            client,
            metadata,
            new_secret_fingerprint=new_fingerprint,
            requires_pushed_requests=requires_pushed_requests(document),
        )
        if not await registry.clients.update_client(changed):
            raise wrong_token()  # it was removed or disabled a moment ago
        await registry.audit.record(request, AuditEvent.CLIENT_UPDATED, client_id=client.client_id)

        # 4. Answer with what is registered now.
        return registry.response(changed, token=token, secret=secret)

    async def delete(self, request: Request) -> Response:
        # 1. Is it the client itself?
        client, _ = await self._client(request)

        # 2. Remove it, and everything that was granted to it (RFC 7592 section 2.3).
        if not await self.registry.clients.remove_client(client.client_id, now=self.registry.now()):
            raise wrong_token()
        self.on_revocation()
        await self.registry.audit.record(request, AuditEvent.CLIENT_REMOVED, client_id=client.client_id)
        return Response(status_code=204, headers=NO_STORE)

    async def _client(self, request: Request) -> tuple[Client, str]:
        token = bearer_token(request)
        found = await self.registry.clients.find_client(request.path_params["client_id"])
        client = check_manager(found, token)
        request.state.client_id = client.client_id
        return client, token or ""


_CLIENT_ID = {"name": "client_id", "in": "path", "required": True, "schema": api.TEXT}
_REFUSALS: api.Responses = {
    401: api.challenged(api.refusal("Not the registration access token of a client that is there, as bearer token.")),
    429: api.later(api.refusal("Too many registrations, or changes of them, from this address.")),
    **api.UNAVAILABLE,
}
_GET = api.Operation(
    "get_registration",
    "Read a client's own registration (RFC 7592)",
    parameters=[_CLIENT_ID],
    responses={200: api.json_answer("What is registered.", INFORMATION), **_REFUSALS},
)
_PUT = api.Operation(
    "put_registration",
    "Replace a client's own registration (RFC 7592)",
    parameters=[_CLIENT_ID],
    request_body=api.json_body(UPDATE),
    responses={
        200: api.json_answer("What is registered now.", INFORMATION),
        400: METADATA_REFUSED,
        **api.UNREAD,
        **_REFUSALS,
    },
)
_DELETE = api.Operation(
    "delete_registration",
    "Remove a client's own registration, and all that was granted to it (RFC 7592)",
    parameters=[_CLIENT_ID],
    responses={204: {"description": "Removed, with all that was granted to it."}, **_REFUSALS},
)
