"""The methods of resources (MCP server/resources)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gatepost.protocol.errors import InvalidParams, ProtocolError, UnknownResource
from gatepost.protocol.messages import Request
from gatepost.protocol.uris import encoded, normal_form, with_lower_host
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.declaration import MakeContext
from gatepost.server.declared.resources import Resource
from gatepost.server.errors import ResourceNotFound
from gatepost.server.methods.served_server import ServedServer, check_offered, check_scopes, session_of, string_in
from gatepost.server.target import Result

LONGEST_URI: Final = 2048
"""Characters of a URI that a session subscribes to; each is kept."""


async def list_resources(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `resources/list`."""
    _check_offered(served)
    if served.registry.is_hooked:
        return await served.hooked_list(served.resource_list, request, revision, exchange)
    return served.resource_list.page(request.params, revision, exchange.shown)


async def list_templates(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `resources/templates/list`."""
    _check_offered(served)
    if served.registry.is_hooked:
        return await served.hooked_list(served.template_list, request, revision, exchange)
    return served.template_list.page(request.params, revision, exchange.shown)


async def read_resource(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `resources/read`."""
    # 1. Which resource, and may the caller?
    uri, resource, texts = _requested(served, request, revision, exchange)

    # 2. Read it.
    async def read(make_context: MakeContext) -> dict[str, Any]:
        try:
            around = served.around("resource", resource, uri) if served.registry.is_hooked else None
            result = await resource.read(uri, texts, exchange, make_context, around)
        except ResourceNotFound:
            raise _not_found(uri, revision) from None
        return {"ttlMs": resource.freshness, **result} if revision.modern else result

    # In the log it goes by the name that its author gave it: a URI may hold what is nobody's business.
    what = f"resource {resource.name}"
    return await served.run(request, revision, exchange, what=what, declaration=resource, work=read)


async def subscribe(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `resources/subscribe` (2025-11-25 server/resources); the modern era has `subscriptions/listen` for it."""
    uri, _, _ = _requested(served, request, revision, exchange)
    if len(uri) > LONGEST_URI:
        raise InvalidParams(f'"params.uri" may have {LONGEST_URI} characters.')
    if not await session_of(exchange).subscribe(normal_form(uri) or uri, as_sent=uri):
        raise InvalidParams("This session has as many subscriptions as it may.")
    return {}


async def unsubscribe(served: ServedServer, request: Request, _revision: Revision, exchange: Exchange) -> Result:
    """Answer `resources/unsubscribe`; whether the resource is still there does not matter."""
    _check_offered(served)
    uri = string_in(request.params, "uri")
    await session_of(exchange).unsubscribe(normal_form(uri) or uri)
    return {}


def may_read(served: ServedServer, uri: str, granted: frozenset[str] | None) -> bool:
    """Say whether there is a resource of this URI that a caller with these scopes may read; None means all."""
    found = _find(served, uri)
    return found is not None and (granted is None or found[0].scopes <= granted)


def _check_offered(served: ServedServer) -> None:
    registry = served.registry
    check_offered(registry.resources.known or registry.resource_templates.known)


def _requested(
    served: ServedServer, request: Request, revision: Revision, exchange: Exchange
) -> tuple[str, Resource, Mapping[str, str]]:
    """Return the URI that a request names, what answers for it, and what the template's expressions stand for in it."""
    _check_offered(served)
    uri = string_in(request.params, "uri")
    found = _find(served, uri)
    if found is None:
        raise _not_found(uri, revision)
    check_scopes(exchange, found[0])
    return uri, *found


def _find(served: ServedServer, uri: str) -> tuple[Resource, Mapping[str, str]] | None:
    """Return what answers for `uri`: a fixed one before any template, and templates as they were added."""
    spelled = encoded(uri)
    if spelled is None:
        return None
    fixed = served.registry.resources.there.get(with_lower_host(spelled))
    if fixed is not None:
        return fixed, {}
    for resource in served.registry.resource_templates.there.values():
        texts = None if resource.template is None else resource.template.match_encoded(spelled)
        if texts is not None:
            return resource, texts
    return None


def _not_found(uri: str, revision: Revision) -> ProtocolError:
    """Return the error for what is not there (server/resources, "Error Handling", of either era)."""
    return InvalidParams("Resource not found", data={"uri": uri}) if revision.modern else UnknownResource(uri)
