"""GET, PUT and DELETE /oauth/register/{client_id}: a client manages its registration (RFC 7592 section 2)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.errors import InvalidToken
from gatepost.oauth.records import Client
from gatepost.oauth.registration import client_information
from gatepost.oauth.registration_management import check_manager, read_update, updated_client, wrong_token
from gatepost.stores.contract.clients import ClientStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, mint
from gatepost.web.oauth.register import (
    INFORMATION,
    METADATA_BODY,
    METADATA_REFUSED,
    NO_STORE,
    read_document,
    register_router,
    registration_uri,
)
from gatepost.web.oauth.registration_tokens import bearer_token, token_refused
from gatepost.web.site.api_description import (
    TEXT,
    UNAVAILABLE,
    UNREAD,
    Object,
    Responses,
    challenged,
    json_answer,
    later,
    record,
    refusal,
)
from gatepost.web.site.audit import NO_AUDIT, Audit

_PATH = "/oauth/register/{client_id}"


def registration_routers(
    *,
    clients: ClientStore,
    known_scopes: Collection[str],
    registration_enabled: bool,
    issuer: str,
    initial_access_token: str | None,
    now: Callable[[], int],
    random_bytes: RandomBytes,
    on_revocation: Callable[[], None],
    audit: Audit = NO_AUDIT,
) -> tuple[APIRouter, APIRouter]:
    """Return the routes where clients register, and where they manage what they registered.

    The arguments are those of `register_router` and `manage_registration_router`.
    """
    return (
        register_router(
            clients=clients,
            known_scopes=known_scopes,
            registration_enabled=registration_enabled,
            issuer=issuer,
            initial_access_token=initial_access_token,
            now=now,
            random_bytes=random_bytes,
            audit=audit,
        ),
        # Clients that are registered already can manage that, whether or not others may still register.
        manage_registration_router(
            clients=clients,
            known_scopes=known_scopes,
            issuer=issuer,
            now=now,
            random_bytes=random_bytes,
            on_revocation=on_revocation,
            audit=audit,
        ),
    )


def manage_registration_router(
    *,
    clients: ClientStore,
    known_scopes: Collection[str],
    issuer: str,
    now: Callable[[], int],
    random_bytes: RandomBytes,
    on_revocation: Callable[[], None],
    audit: Audit = NO_AUDIT,
) -> APIRouter:
    """Return the routes of the client configuration endpoint.

    Args:
        clients: where clients are kept.
        known_scopes: every scope that any resource has; a client's other scopes are dropped.
        issuer: this server's issuer identifier, the beginning of every `registration_client_uri`.
        now: the clock, whole seconds UTC.
        random_bytes: where secrets come from.
        on_revocation: called when a client has removed itself, so that no cache in this process answers for its tokens.
        audit: is told of every change.
    """
    endpoint = _Management(clients, known_scopes, issuer, now, random_bytes, on_revocation, audit)
    router = APIRouter(tags=["OAuth"])
    for method, answer, summary, responses in (
        ("GET", endpoint.read, "Read a client's own registration", _READ),
        ("PUT", endpoint.update, "Replace a client's own registration", _UPDATED),
        ("DELETE", endpoint.delete, "Remove a client's own registration, and all that was granted to it", _DELETED),
    ):
        router.add_api_route(
            _PATH,
            _refusing(answer),
            methods=[method],
            summary=f"{summary} (RFC 7592)",
            operation_id=f"{method.lower()}_registration",
            response_model=None,
            status_code=204 if method == "DELETE" else 200,
            responses=responses,
            openapi_extra={"parameters": [_CLIENT_ID], **({"requestBody": _UPDATE_BODY} if method == "PUT" else {})},
        )
    return router


@dataclass(frozen=True, slots=True)
class _Management:
    clients: ClientStore
    known_scopes: Collection[str]
    issuer: str
    now: Callable[[], int]
    random_bytes: RandomBytes
    on_revocation: Callable[[], None]
    audit: Audit

    async def read(self, request: Request) -> Response:
        # 1. Is it the client itself?
        client, token = await self._client(request)

        # 2. Answer with what is registered. The secret is known to nobody but the client.
        return self._information(client, token, secret=None)

    async def update(self, request: Request) -> Response:
        # 1. Is it the client itself?
        client, token = await self._client(request)

        # 2. The rules decide what the update comes to.
        update = read_update(await read_document(request), client, known_scopes=self.known_scopes)

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


def _refusing(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Return `answer` with the challenge that belongs to a wrong token."""

    async def endpoint(request: Request) -> Response:
        try:
            response: Response = await answer(request)
        except InvalidToken as refusal:
            return token_refused(request, refusal)
        return response

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
_READ: Responses = {200: json_answer("What is registered.", INFORMATION), **_REFUSALS}
_UPDATED: Responses = {
    200: json_answer("What is registered now.", INFORMATION),
    400: METADATA_REFUSED,
    **UNREAD,
    **_REFUSALS,
}
_DELETED: Responses = {204: {"description": "Removed, with all that was granted to it."}, **_REFUSALS}
