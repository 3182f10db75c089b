"""What keeps an object from being a JSON-RPC function `dict -> dict | None`, in words that say what to write instead.

A function of another shape would be found out by its first caller only, as an error in every answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, get_origin, is_typeddict

_SHAPE: Final = "a handler is a function of one JSON-RPC message, dict -> dict | None"
_OTHER_SERVERS: Final = {"fastmcp": "http_app", "mcp": "streamable_http_app"}
"""By the package that a server comes from: its method that returns an ASGI application."""


def objection_to(target: Any) -> str | None:
    """Return why `target` is no handler; None where nothing speaks against it."""
    if isinstance(target, type):
        return f"it is a class, not what is made of it; write {target.__name__}(...)"
    package = type(target).__module__.partition(".")[0]
    if package in _OTHER_SERVERS:
        return (
            f"it is a server of the package {package}, which answers by itself; its tools can be declared on a "
            f"gatepost.Server, or its app (its method {_OTHER_SERVERS[package]} returns one) is served as "
            "gatepost.Protected(app, scopes=...)"
        )
    if inspect.iscoroutine(target):
        target.close()  # nobody will await it, which Python would warn of
        return "it is a coroutine: something async was called and not awaited; name the function itself"
    if not callable(target):
        return f"what is served is a gatepost.Server or a function dict -> dict | None, not {type(target).__name__}"
    if _yields(target):
        return f"it is a generator function, which returns no answer; {_SHAPE}"
    return _objection_to_parameters(target)


def _objection_to_parameters(target: Callable[..., Any]) -> str | None:
    try:
        signature = _signature(target)
    except (TypeError, ValueError):
        return None  # some builtins have none
    if list(signature.parameters) == ["scope", "receive", "send"]:
        return (
            "an ASGI application is no handler dict -> dict | None; it is served by gatepost.Protected(app, scopes=...)"
        )
    try:
        bound = signature.bind({})
    except TypeError:
        if not signature.parameters:
            return (
                "it takes no argument; if it makes what is to be served, call it and name the result: server = make()"
            )
        return f"it takes ({', '.join(signature.parameters)}); {_SHAPE}"
    parameter = signature.parameters[next(iter(bound.arguments))]
    if not _may_be_dict(parameter.annotation):
        return f"its parameter {parameter.name} is no dict; {_SHAPE}, and a tool is declared with @server.tool"
    return None


def _signature(target: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(target, eval_str=True)
    except Exception:  # noqa: BLE001 - an annotation that is not there at run time may raise anything
        return inspect.signature(target)


def _yields(target: Callable[..., Any]) -> bool:
    call = type(target).__call__
    return any(map(inspect.isgeneratorfunction, (target, call))) or any(map(inspect.isasyncgenfunction, (target, call)))


def _may_be_dict(annotation: Any) -> bool:
    """Say whether a dict may be meant; of what is no plain class, or still a text, nobody knows."""
    annotation = get_origin(annotation) or annotation
    if not isinstance(annotation, type) or annotation in {Any, inspect.Parameter.empty} or is_typeddict(annotation):
        return True
    return issubclass(dict, annotation) or issubclass(annotation, Mapping)
