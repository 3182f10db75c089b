"""The methods of prompts (MCP server/prompts), and completion of arguments (MCP server/utilities/completion)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from gatepost.protocol.errors import InternalError, InvalidParams, MethodNotFound
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.cancellation import is_cancellation
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.declaration import MakeContext, failure_text
from gatepost.server.declared.prompts import Prompt
from gatepost.server.declared.resources import Resource
from gatepost.server.declared.uri_templates import normal_template
from gatepost.server.methods.served_server import (
    ServedServer,
    check_offered,
    check_scopes,
    object_in,
    string_in,
    strings_in,
)
from gatepost.server.server import Server
from gatepost.server.target import Result


async def list_prompts(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `prompts/list`."""
    check_offered(served.registry.prompts.known)
    if served.registry.is_hooked:
        return await served.hooked_list(served.prompt_list, request, revision, exchange)
    return served.prompt_list.page(request.params, revision, exchange.shown)


async def get_prompt(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `prompts/get`."""
    # 1. Which prompt, and may the caller?
    check_offered(served.registry.prompts.known)
    prompt = find_prompt(served, request.params)
    check_scopes(exchange, prompt)
    # 2. With which arguments?
    texts = strings_in(request.params, "arguments")

    # 3. Write it.
    async def get(make_context: MakeContext) -> dict[str, Any]:
        around = served.around("prompt", prompt) if served.registry.is_hooked else None
        return await prompt.get(texts, revision.version, exchange, make_context, around)

    return await served.run(request, revision, exchange, what=f"prompt {prompt.name}", declaration=prompt, work=get)


def find_prompt(served: ServedServer, named: Mapping[str, Any], *, within: str = "params") -> Prompt:
    """Return the prompt that `named`, an object in the parameters, names, or raise InvalidParams."""
    prompt = served.registry.prompts.there.get(string_in(named, "name", within=within))
    if prompt is None:
        raise InvalidParams("Unknown prompt")
    return prompt


async def complete(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `completion/complete`."""
    # 1. Of what, and may the caller?
    if not completes(served.server):
        raise MethodNotFound("This server completes nothing.")
    reference, argument = object_in(request.params, "ref"), object_in(request.params, "argument")
    owner = _referred(served, reference)
    check_scopes(exchange, owner)
    # 2. Which argument, and what is known?
    name = string_in(argument, "name", within="params.argument")
    value = string_in(argument, "value", within="params.argument")
    known = {} if request.params.get("context") is None else object_in(request.params, "context")
    arguments = strings_in(known, "arguments", within="params.context")
    if not owner.takes(name):
        raise InvalidParams("It has no argument of this name.")

    # 3. Complete it. Its function can send the client nothing.
    make_context = partial(Context, state=served.server.state if owner.origin is None else owner.origin.state)
    try:
        completion = await owner.complete(name, value, arguments, exchange, make_context)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if is_cancellation(error):
            raise
        text = failure_text(f"completion of {owner.name}", error, exchange, served.random_bytes)
        raise InternalError(text) from None
    return served.finished(request, revision, {"completion": completion})


def completes(server: Server) -> bool:
    """Say whether anything of a server completes its arguments."""
    registry = server.registry
    owners = (*registry.prompts.known.values(), *registry.resource_templates.known.values())
    return any(owner.completers for owner in owners)


def _referred(served: ServedServer, reference: Mapping[str, Any]) -> Prompt | Resource:
    kind = reference.get("type")
    if kind == "ref/prompt":
        return find_prompt(served, reference, within="params.ref")
    if kind != "ref/resource":
        raise InvalidParams('"params.ref.type" must be "ref/prompt" or "ref/resource".')
    uri = string_in(reference, "uri", within="params.ref")
    registry, normal_uri = served.registry, normal_template(uri)
    for resource in (*registry.resource_templates.there.values(), *registry.resources.there.values()):
        if normal_uri == resource.normal_uri:
            return resource
    raise InvalidParams("Unknown resource template")
