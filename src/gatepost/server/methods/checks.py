"""Checks that methods have in common: members of their parameters, the caller's scopes, the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatepost.protocol.errors import InvalidJsonRpcRequest, InvalidParams, MethodNotFound
from gatepost.server.calls.exchange import Exchange, Session
from gatepost.server.declared.declaration import Declaration
from gatepost.server.errors import InsufficientScope


def string_in(given: Mapping[str, Any], member: str, *, within: str = "params") -> str:
    """Return a member of `given`, which is what `within` says, or raise InvalidParams: it is no string."""
    value = given.get(member)
    if type(value) is not str:
        raise InvalidParams(f'"{within}.{member}" must be a string.')
    return value


def object_in(params: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Return a member of the parameters, or raise InvalidParams: it is no object."""
    value = params.get(member)
    if type(value) is not dict:
        raise InvalidParams(f'"params.{member}" must be an object.')
    return value


def strings_in(given: Mapping[str, Any], member: str, *, within: str = "params") -> dict[str, str]:
    """Return a member of `given`; none is empty. Raises InvalidParams if it is no object of strings."""
    value = given.get(member)
    if value is None:
        return {}
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        raise InvalidParams(f'"{within}.{member}" must be an object of strings.')
    return value


def check_offered(entries: object) -> None:
    """Raise MethodNotFound if there are none."""
    if not entries:
        raise MethodNotFound("This server has no such method.")


def check_scopes(exchange: Exchange, declaration: Declaration) -> None:
    """Raise InsufficientScope unless the caller has all of a declaration's scopes."""
    if exchange.granted is not None and not declaration.scopes <= exchange.granted:
        raise InsufficientScope(declaration.scopes)


def session_of(exchange: Exchange) -> Session:
    """Return the session of a request (handshake era), or raise InvalidJsonRpcRequest: it belongs to none."""
    if exchange.session is None:
        raise InvalidJsonRpcRequest("This needs a session: send the Mcp-Session-Id that initialize was answered with.")
    return exchange.session
