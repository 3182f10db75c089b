"""The methods that extensions of the protocol add, and the checks that all of them have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gatepost.protocol.messages import Request
from gatepost.protocol.modern import check_mirrored_name
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.extension import Extension, missing_extension, settings_in
from gatepost.server.methods.served_server import Method, ServedServer
from gatepost.server.target import Result

_MIRRORING: Final = b"mcp-method"


def with_extensions(methods: Mapping[str, Method], extensions: tuple[Extension, ...]) -> Mapping[str, Method]:
    """Return what answers the methods of an era, which are `methods` without extensions.

    Raises ToolDefinitionError if an extension would take one that there is.
    """
    table = dict(methods)
    for extension in extensions:
        for name, method in extension.methods().items():
            if name in table:
                raise ToolDefinitionError(f"{extension.identifier}: there is a method {name!r} already")
            table[name] = _guarded(extension, method)
        table = wrapped(table, [extension])
    return table


def wrapped(methods: Mapping[str, Method], extensions: Iterable[Extension]) -> dict[str, Method]:
    """Return methods with what extensions have stand around them, the last one outermost."""
    table = dict(methods)
    for extension in extensions:
        for name, wrap in extension.wraps().items():
            table[name] = wrap(table[name])
    return table


def _guarded(extension: Extension, method: Method) -> Method:
    """Return a method of an extension as it is dispatched: after the checks that all have in common."""

    async def answer(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
        # 1. The header that mirrors a parameter, where there are headers: on stdio there are none.
        member = extension.named_by.get(request.method)
        if member is not None and _MIRRORING in exchange.headers:
            check_mirrored_name(request, member, exchange.headers.get(b"mcp-name"))
        # 2. Does the client know the extension?
        if extension.needs_client and settings_in(extension, request, exchange) is None:
            raise missing_extension(extension)
        # 3. The method itself.
        result = await method(served, request, revision, exchange)
        return served.finished(request, revision, result) if type(result) is dict else result

    return answer
