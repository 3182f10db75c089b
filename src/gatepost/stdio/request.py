"""The request that tools see where there is none: the headers that the process was started with."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.authentication import AuthCredentials, UnauthenticatedUser
from starlette.requests import Request


class EveryScope(list[str]):
    """The scopes of a local client, which may do everything: whatever is asked for is among them."""

    def __contains__(self, scope: object) -> bool:
        return isinstance(scope, str)


def request_with(headers: Mapping[bytes, bytes]) -> Request:
    """Return a request with these headers; `starlette.authentication` finds every scope granted, and nobody named."""
    credentials = AuthCredentials()
    credentials.scopes = EveryScope()
    members = {"type": "http", "method": "POST", "scheme": "stdio", "path": "/", "query_string": b""}
    caller = {"auth": credentials, "user": UnauthenticatedUser()}
    return Request({**members, **caller, "headers": list(headers.items())})
