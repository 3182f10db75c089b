"""What tools, resources and prompts are declared with alike: scopes, and words from docstrings."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gatepost.server.declared.docstrings import Documentation, read_docstring
from gatepost.server.declared.signature import underlying_function
from gatepost.server.errors import ToolDefinitionError

_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 section 3.3


def scopes_of(given: Iterable[str], owner: str) -> frozenset[str]:
    """Check scopes.

    Raises:
        ToolDefinitionError: Naming `owner`.
    """
    if isinstance(given, str):
        raise ToolDefinitionError(f"{owner}: scopes takes a list; write scopes=[{given!r}]")
    scopes = frozenset(given)
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise ToolDefinitionError(
                f"{owner}: {scope!r} is no scope, which has printable ASCII characters but no space, quote or backslash"
            )
    return scopes


def own_name_of(func: Callable[..., Any]) -> str | None:
    """Return the name that a function has of its own, also behind a partial; None when it has none."""
    while isinstance(func, functools.partial):
        func = func.func
    name: str | None = getattr(func, "__name__", None)
    return name


def documentation_of(func: Callable[..., Any]) -> Documentation:
    """Return what the docstring says, of a function or of the class of an object that is called."""
    docstring = inspect.getdoc(underlying_function(func))
    if docstring is None and not inspect.isroutine(func) and not isinstance(func, functools.partial):
        docstring = inspect.getdoc(type(func))
    return read_docstring(docstring)


def describe_properties(schema: dict[str, Any], descriptions: Mapping[str, str]) -> None:
    """Add what the docstring says of parameters to those that have no description of their own."""
    properties = schema.get("properties", {})
    for name in properties.keys() & descriptions.keys():
        properties[name].setdefault("description", descriptions[name])
