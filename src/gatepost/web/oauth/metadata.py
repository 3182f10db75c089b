"""Discovery: protected resource metadata (RFC 9728) and authorization server metadata (RFC 8414), at every address.

Clients build the address in different ways: with the well-known part before the path or after it, with a slash at the
end or without, at the OpenID Connect name or the OAuth one. One document, always the same, answers each of them, so no
client has to guess right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.policy import AuthorizationServer
from gatepost.oauth.server_metadata import server_metadata
from gatepost.resource.resources import WELL_KNOWN_PATH, ProtectedResource, resource_metadata
from gatepost.web.oauth.grants import GRANT_TYPES
from gatepost.web.oauth.grants.grant_type import GrantType
from gatepost.web.site import api_description as api
from gatepost.web.site.base_path import path_of
from gatepost.web.site.routing import Route

# OpenID Connect Discovery is not spoken, but MCP clients try its address (MCP authorization server discovery; RFC 8414
# section 5). What they find there is the same truth, which claims no ID tokens.
_SERVER_PATHS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
_FRESH_SECONDS = 300
_FRESH_SECONDS_OF_SERVER = 60
"""Whether documents are supported may change while the server runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataEndpoints:
    """Both documents."""

    authorization_server: AuthorizationServer
    resources: Sequence[ProtectedResource]
    """The first one is described at the root as well, unless one lives there."""
    others: Sequence[str] = ()
    """Further authorization servers whose tokens count at the resources."""
    grant_types: Sequence[GrantType] = GRANT_TYPES
    grant_profiles: Sequence[str] = ()
    """The profiles of grants that are taken."""
    requires_dpop: bool = False
    """Whether tokens count that are bound to a key alone."""
    service_documentation: str | None = None
    """The URL of the documentation for people."""
    serves_documents: Callable[[], bool] = lambda: True
    """Whether the metadata documents of clients can be had now, where they are supported."""

    def routes(self) -> tuple[Route, ...]:
        """Return a route for each address; every answer is built once, here."""
        rules = self.authorization_server
        server_document = _Document(self._server_document(rules), _FRESH_SECONDS_OF_SERVER)
        if rules.client_documents_enabled:
            without = self._server_document(replace(rules, client_documents_enabled=False))
            server_document = replace(server_document, otherwise=without, holds=self.serves_documents)
        documents = _resource_documents(
            self.resources, (rules.issuer, *self.others), takes_dpop=True, requires_dpop=self.requires_dpop
        )
        for well_known in _SERVER_PATHS:
            for path in ("", *(resource.path for resource in self.resources)):
                documents |= dict.fromkeys(_addresses(well_known, path, path_of(rules.issuer)), server_document)
        return _routes(documents)

    def _server_document(self, rules: AuthorizationServer) -> bytes:
        return orjson.dumps(
            server_metadata(
                rules,
                grant_types=[grant_type.name for grant_type in self.grant_types],
                scopes=[scope for resource in self.resources for scope in resource.scopes],
                resources=[resource.identifier for resource in self.resources],
                service_documentation=self.service_documentation,
                grant_profiles=self.grant_profiles,
            )
        )


@dataclass(frozen=True, slots=True)
class _Document:
    content: bytes
    fresh_seconds: int
    otherwise: bytes = b""
    """What is said while `holds` says no."""
    holds: Callable[[], bool] = lambda: True

    async def get(self, _request: Request) -> Response:
        headers = {"Cache-Control": f"public, max-age={self.fresh_seconds}", "X-Content-Type-Options": "nosniff"}
        content = self.content if self.holds() else self.otherwise
        return Response(content, media_type="application/json", headers=headers)


def resource_routes(resources: Sequence[ProtectedResource], issuers: Sequence[str]) -> tuple[Route, ...]:
    """Return the routes of the first document alone, for resources whose tokens others issue."""
    return _routes(_resource_documents(resources, issuers))


def _routes(documents: Mapping[str, _Document]) -> tuple[Route, ...]:
    return tuple(
        Route("GET", address, document.get, _OPERATIONS.get(address)) for address, document in documents.items()
    )


def _resource_documents(
    resources: Sequence[ProtectedResource],
    issuers: Sequence[str],
    *,
    takes_dpop: bool = False,
    requires_dpop: bool = False,
) -> dict[str, _Document]:
    documents: dict[str, _Document] = {}
    for resource in resources:
        metadata = resource_metadata(resource, issuers=issuers, takes_dpop=takes_dpop, requires_dpop=requires_dpop)
        document = _Document(orjson.dumps(metadata), _FRESH_SECONDS)
        base = path_of(resource.identifier.removesuffix(resource.path))
        documents |= dict.fromkeys(_addresses(WELL_KNOWN_PATH, resource.path, base), document)
        # RFC 9728 section 3.1 has no root form for a resource with a path; the MCP specification has.
        documents.setdefault(WELL_KNOWN_PATH, document)
    return documents


def _addresses(well_known: str, path: str, base: str) -> list[str]:
    """Return where clients look for a document about `path`: inserted before the path, and appended to it.

    Inserted it stands before the base as well, at the root of the origin (`base_path.py`). All the others are below the
    base, and so are those without it, which are for whoever asks there.
    """
    path = path.rstrip("/")
    inserted = dict.fromkeys(
        f"{well_known}{each}{slash}" for each in (path, base + path) if each for slash in ("", "/")
    )
    return [*inserted, f"{path}{well_known}"]


_OF_RESOURCE = api.json_answer(
    "The document.",
    api.record(
        {
            "resource": api.URL,
            "authorization_servers": {"type": "array", "items": api.URL},
            "scopes_supported": api.TEXTS,
            "bearer_methods_supported": api.TEXTS,
            "resource_name": api.TEXT,
        },
        required=["resource", "authorization_servers"],
    ),
)
_OF_SERVER = api.json_answer(
    "The document; RFC 8414 section 2 lists its members.",
    api.record(
        {
            "issuer": api.URL,
            "authorization_endpoint": api.URL,
            "token_endpoint": api.URL,
            "registration_endpoint": api.URL,
            "scopes_supported": api.TEXTS,
            "response_types_supported": api.TEXTS,
            "grant_types_supported": api.TEXTS,
            "code_challenge_methods_supported": api.TEXTS,
        },
        required=["issuer", "authorization_endpoint", "token_endpoint", "response_types_supported"],
    ),
)
# One entry for each document is enough to read; the other addresses are for clients that guess.
_OPERATIONS = {
    WELL_KNOWN_PATH: api.Operation(
        "protected_resource_metadata",
        "Protected resource metadata (RFC 9728)",
        tag="Discovery",
        responses={200: _OF_RESOURCE},
    ),
    _SERVER_PATHS[0]: api.Operation(
        "authorization_server_metadata",
        "Authorization server metadata (RFC 8414)",
        tag="Discovery",
        responses={200: _OF_SERVER},
    ),
    _SERVER_PATHS[1]: api.Operation(
        "authorization_server_metadata_openid",
        "The same document, where OpenID Connect Discovery would be",
        tag="Discovery",
        responses={200: _OF_SERVER},
    ),
}
