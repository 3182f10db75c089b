"""`prompts/list` and `prompts/get` (MCP server/prompts)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.invocation import MakeContext
from gatepost.server.declared.prompts import Prompt
from gatepost.server.methods.served_server import ServedServer, check_offered, check_scopes, string_in, strings_in
from gatepost.server.target import Result


async def list_prompts(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `prompts/list`."""
    check_offered(served.server.prompts)
    return served.prompt_list.page(request.params, revision, exchange.granted)


async def get_prompt(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `prompts/get`."""
    # 1. Which prompt, and may the caller?
    check_offered(served.server.prompts)
    prompt = find_prompt(served, request.params)
    check_scopes(exchange, prompt)
    # 2. With which arguments?
    texts = strings_in(request.params, "arguments")

    # 3. Write it.
    async def get(make_context: MakeContext) -> dict[str, Any]:
        return await prompt.get(texts, revision.version, exchange, make_context)

    return await served.run(request, revision, exchange, what=f"prompt {prompt.name}", work=get)


def find_prompt(served: ServedServer, named: Mapping[str, Any], *, within: str = "params") -> Prompt:
    """Return the prompt that `named`, an object in the parameters, names, or raise InvalidParams."""
    prompt = served.server.prompts.get(string_in(named, "name", within=within))
    if prompt is None:
        raise InvalidParams("Unknown prompt")
    return prompt
