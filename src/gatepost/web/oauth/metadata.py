"""Discovery: protected resource metadata (RFC 9728) and authorization server metadata (RFC 8414), at every address.

Clients build the address in different ways: with the well-known part before the path or after it, with a slash at the
end or without, at the OpenID Connect name or the OAuth one. One document, always the same, answers each of them, so no
client has to guess right.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from gatepost.oauth.policy import AuthorizationServer
from gatepost.oauth.server_metadata import server_metadata
from gatepost.resource.resource_metadata import WELL_KNOWN_PATH, resource_metadata
from gatepost.resource.resources import ProtectedResource
from gatepost.web.site.api_description import TEXT, TEXTS, URL, Responses, json_answer, record

# OpenID Connect Discovery is not spoken, but MCP clients try its address (MCP authorization server discovery; RFC 8414
# section 5). What they find there is the same truth, which claims no ID tokens.
_SERVER_PATHS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
_HEADERS = {"Cache-Control": "public, max-age=300"}


def metadata_router(
    *,
    authorization_server: AuthorizationServer,
    resources: Sequence[ProtectedResource],
    grant_types: Iterable[str],
    service_documentation: str | None = None,
) -> APIRouter:
    """Return the routes of both documents. Every answer is built once, here.

    Args:
        authorization_server: whose metadata this is.
        resources: the protected resources; the first one is described at the root as well, unless one lives there.
        grant_types: what the token endpoint takes.
        service_documentation: the URL of the documentation for people, or None.
    """
    server_document = orjson.dumps(
        server_metadata(
            authorization_server,
            grant_types=grant_types,
            scopes=[scope for resource in resources for scope in resource.scopes],
            resources=[resource.identifier for resource in resources],
            service_documentation=service_documentation,
        )
    )
    documents: dict[str, bytes] = {}
    for resource in resources:
        document = orjson.dumps(resource_metadata(resource, issuer=authorization_server.issuer))
        documents |= dict.fromkeys(_addresses(WELL_KNOWN_PATH, resource.path), document)
        # RFC 9728 section 3.1 has no root form for a resource with a path; the MCP specification has.
        documents.setdefault(WELL_KNOWN_PATH, document)
    for well_known in _SERVER_PATHS:
        for path in ("", *(resource.path for resource in resources)):
            documents |= dict.fromkeys(_addresses(well_known, path), server_document)

    router = APIRouter(tags=["Discovery"])
    for address, document in documents.items():
        endpoint = _answering(document)
        summary, operation_id, responses = _DESCRIBED.get(address, (None, None, {}))
        router.add_api_route(
            address,
            endpoint,
            methods=["GET"],
            summary=summary,
            operation_id=operation_id,
            # One entry for each document is enough to read; the other addresses are for clients that guess.
            include_in_schema=address in _DESCRIBED,
            responses=responses,
        )
        router.add_api_route(address, endpoint, methods=["HEAD"], include_in_schema=False)
    return router


def _answering(document: bytes) -> Callable[[], Awaitable[Response]]:
    async def endpoint() -> Response:
        return Response(document, media_type="application/json", headers=_HEADERS)

    return endpoint


def _addresses(well_known: str, path: str) -> list[str]:
    """Return where clients look for a document about `path`: inserted before the path, and appended to it."""
    path = path.rstrip("/")
    if not path:
        return [well_known]
    return [f"{well_known}{path}", f"{well_known}{path}/", f"{path}{well_known}"]


_OF_RESOURCE: Responses = {
    200: json_answer(
        "The document.",
        record(
            {
                "resource": URL,
                "authorization_servers": {"type": "array", "items": URL},
                "scopes_supported": TEXTS,
                "bearer_methods_supported": TEXTS,
                "resource_name": TEXT,
            },
            required=["resource", "authorization_servers"],
        ),
    )
}
_OF_SERVER: Responses = {
    200: json_answer(
        "The document; RFC 8414 section 2 lists its members.",
        record(
            {
                "issuer": URL,
                "authorization_endpoint": URL,
                "token_endpoint": URL,
                "registration_endpoint": URL,
                "scopes_supported": TEXTS,
                "response_types_supported": TEXTS,
                "grant_types_supported": TEXTS,
                "code_challenge_methods_supported": TEXTS,
            },
            required=["issuer", "authorization_endpoint", "token_endpoint", "response_types_supported"],
        ),
    )
}
_DESCRIBED = {
    WELL_KNOWN_PATH: ("Protected resource metadata (RFC 9728)", "protected_resource_metadata", _OF_RESOURCE),
    _SERVER_PATHS[0]: (
        "Authorization server metadata (RFC 8414)",
        "authorization_server_metadata",
        _OF_SERVER,
    ),
    _SERVER_PATHS[1]: (
        "The same document, where OpenID Connect Discovery would be",
        "authorization_server_metadata_openid",
        _OF_SERVER,
    ),
}
