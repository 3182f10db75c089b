"""GET, PUT and DELETE /oauth/register/{client_id}: a client manages its registration (RFC 7592 section 2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.errors import InvalidToken
from gatepost.oauth.records import Client
from gatepost.oauth.registration import client_information
from gatepost.oauth.registration_management import check_manager, read_update, updated_client, wrong_token
from gatepost.stores.contract.clients import ClientStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, mint
from gatepost.web.oauth.grants import GRANT_TYPES
from gatepost.web.oauth.grants.grant_type import GrantType, registrable
from gatepost.web.oauth.register import (
    INFORMATION,
    METADATA_BODY,
    METADATA_REFUSED,
    NO_STORE,
    read_document,
    registration_uri,
)
from gatepost.web.oauth.registration_tokens import bearer_token, token_refused
from gatepost.web.site.api_description import (
    TEXT,
    UNAVAILABLE,
    UNREAD,
    Object,
    Operation,
    Responses,
    challenged,
    json_answer,
    later,
    record,
    refusal,
)
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.limits import REGISTRATION_LIMIT
from gatepost.web.site.routing import Handler, Route

_PATH = "/oauth/register/{client_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageRegistrationEndpoint:
    """The client configuration endpoint, whether or not others may still register."""

    clients: ClientStore
    known_scopes: Collection[str]
    """Every scope that any resource has; a client's other scopes are dropped."""
    grant_types: Sequence[GrantType] = GRANT_TYPES
    issuer: str
    """The beginning of every `registration_client_uri`."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    on_revocation: Callable[[], None]
    """Called when a client has removed itself, so that no cache in this process answers for its tokens."""
    audit: Audit = NO_AUDIT

    def routes(self) -> tuple[Route, ...]:
        """Return its routes."""
        return (
            Route("GET", _PATH, _refusing(self.get), _GET, limit=REGISTRATION_LIMIT, answers_head=False),
            Route("PUT", _PATH, _refusing(self.put), _PUT, limit=REGISTRATION_LIMIT),
            Route("DELETE", _PATH, _refusing(self.delete), _DELETE, limit=REGISTRATION_LIMIT),
        )

    async def get(self, request: Request) -> Response:
        """Return what is registered."""
        # 1. Is it the client itself?
        client, token = await self._client(request)

        # 2. Answer with what is registered. The secret is known to nobody but the client.
        return self._information(client, token, secret=None)

    async def put(self, request: Request) -> Response:
        """Replace what is registered."""
        # 1. Is it the client itself?
        client, token = await self._client(request)

        # 2. The rules decide what the update comes to.
        update = read_update(
            await read_document(request),
            client,
            known_scopes=self.known_scopes,
            grant_types=registrable(self.grant_types),
        )

        # 3. Replace the registration in one step.
        secret = mint(SecretKind.CLIENT_SECRET, self.random_bytes) if update.needs_new_secret else None
        changed = updated_client(
            client, update.metadata, new_secret_fingerprint=None if secret is None else fingerprint(secret)
        )
        if not await self.clients.update_client(changed):
            raise wrong_token()  # it was removed or disabled a moment ago

        await self.audit.record(request, AuditEvent.CLIENT_UPDATED, client_id=client.client_id)

        # 4. Answer with what is registered now.
        return self._information(changed, token, secret=secret)

    async def delete(self, request: Request) -> Response:
        """Remove the registration."""
        # 1. Is it the client itself?
        client, _ = await self._client(request)

        # 2. Remove it, and everything that was granted to it (RFC 7592 section 2.3).
        if not await self.clients.remove_client(client.client_id, now=self.now()):
            raise wrong_token()
        self.on_revocation()
        await self.audit.record(request, AuditEvent.CLIENT_REMOVED, client_id=client.client_id)
        return Response(status_code=204, headers=NO_STORE)

    async def _client(self, request: Request) -> tuple[Client, str]:
        token = bearer_token(request)
        found = await self.clients.find_client(request.path_params["client_id"])
        client = check_manager(found, token)
        request.state.client_id = client.client_id
        return client, token or ""

    def _information(self, client: Client, token: str, *, secret: str | None) -> Response:
        information = client_information(
            client,
            client_secret=secret,
            registration_access_token=token,
            registration_client_uri=registration_uri(self.issuer, client.client_id),
        )
        return JSONResponse(information, headers=NO_STORE)


def _refusing(answer: Handler) -> Handler:
    """Return `answer` with the challenge that belongs to a wrong token."""

    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request)
        except InvalidToken as refusal:
            return token_refused(request, refusal)

    return endpoint


_CLIENT_ID = {"name": "client_id", "in": "path", "required": True, "schema": TEXT}
_UPDATE = METADATA_BODY["content"]["application/json"]["schema"]
_UPDATE_BODY: Object = {
    "required": True,
    "content": {
        "application/json": {
            "schema": record({"client_id": TEXT, **_UPDATE["properties"]}, required=["client_id", "redirect_uris"])
        }
    },
}
_REFUSALS: Responses = {
    401: challenged(refusal("Not the registration access token of a client that is there, as bearer token.")),
    429: later(refusal("Too many registrations, or changes of them, from this address.")),
    **UNAVAILABLE,
}
_GET = Operation(
    "get_registration",
    "Read a client's own registration (RFC 7592)",
    parameters=[_CLIENT_ID],
    responses={200: json_answer("What is registered.", INFORMATION), **_REFUSALS},
)
_PUT = Operation(
    "put_registration",
    "Replace a client's own registration (RFC 7592)",
    parameters=[_CLIENT_ID],
    request_body=_UPDATE_BODY,
    responses={
        200: json_answer("What is registered now.", INFORMATION),
        400: METADATA_REFUSED,
        **UNREAD,
        **_REFUSALS,
    },
)
_DELETE = Operation(
    "delete_registration",
    "Remove a client's own registration, and all that was granted to it (RFC 7592)",
    parameters=[_CLIENT_ID],
    responses={204: {"description": "Removed, with all that was granted to it."}, **_REFUSALS},
)
