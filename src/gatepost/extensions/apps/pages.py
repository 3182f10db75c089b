"""A page as a resource: whoever may call one of the tools that show it may read it, and nobody else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, Final, Unpack

from gatepost.extensions.apps.metadata import MIME_TYPE, Permission, check_uri, page_metadata
from gatepost.resource.scope_needs import all_of, any_of, groups_of
from gatepost.server.declared.declaration import Options
from gatepost.server.declared.resources import Resource
from gatepost.server.declared.signature import describe_function
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InvalidResult, ToolDefinitionError

_DOCUMENT: Final = re.compile(r"\ufeff?(?:\s|<!--.*?-->)*<!doctype html[\s>]", re.IGNORECASE | re.DOTALL)
_MOST_GROUPS: Final = 64


class AppOptions(Options, total=False):
    """The options of `Server.ui`, beside those of every declaration; scopes are those of its tools."""

    csp: Mapping[str, Iterable[str]] | None
    """The origins that it reaches, in the words of the wire: `{"connectDomains": ["https://api.example.com"]}`, and
    `resourceDomains`, `frameDomains`, `baseUriDomains`. None by default."""
    permissions: Iterable[Permission]
    """What of the browser it would use: `camera`, `microphone`, `geolocation`, `clipboardWrite`. Hosts may say no."""
    domain: str | None
    """The origin that it wants for itself, in the form that the host documents."""
    prefers_border: bool | None
    """Whether it wants a border and a background of the host's; None leaves it to the host."""
    fresh_for: int
    """How many seconds clients may take it for fresh."""


_OWN_OPTIONS: Final = frozenset({"csp", "permissions", "domain", "prefers_border"})


class AppPage(Resource):
    """A function that returns the HTML document of an app.

    Args:
        func: The function; it takes nothing but maybe a `Context`.
        uri: Such as `ui://weather/chart`.
        options: The keyword arguments of `AppOptions`.

    Raises:
        ToolDefinitionError: The function or an option cannot be; the message says what to change.
    """

    __slots__ = ("_ui", "shown_by")

    shown_by: list[Tool]
    """The tools that show their results in it."""

    def __init__(self, func: Callable[..., Any], uri: str, **options: Unpack[AppOptions]) -> None:
        label = describe_function(func)
        self.shown_by = []
        check_uri(uri, label)
        if "scopes" in options:
            raise ToolDefinitionError(f"{label}: an app has the scopes of the tools that show it, and none of its own")
        self._ui = page_metadata(
            label,
            csp=options.get("csp"),
            permissions=options.get("permissions", ()),
            domain=options.get("domain"),
            prefers_border=options.get("prefers_border"),
        )
        shared: Any = {name: value for name, value in options.items() if name not in _OWN_OPTIONS}
        super().__init__(func, uri, mime_type=MIME_TYPE, **shared)
        if self._ui:
            # Static, so that hosts can look at it before anything is read ("Metadata Location").
            self.definition["_meta"] = {"ui": self._ui}

    # Of a resource it is an attribute. Tools are declared later than the page that they show.
    @property
    def scopes(self) -> frozenset[str]:
        """What is needed to see and to read it: what one of its tools needs."""
        return needs_of_any([tool.scopes for tool in self.shown_by])

    @scopes.setter
    def scopes(self, scopes: frozenset[str]) -> None:
        pass  # none are given

    def _contents(self, uri: str, value: Any) -> dict[str, Any]:
        if isinstance(value, (bytes, bytearray)):
            value = bytes(value).decode()
        if not isinstance(value, str) or not _DOCUMENT.match(value):
            raise InvalidResult("an app is a whole HTML document, a text that begins with <!doctype html>")
        contents = super()._contents(uri, value)
        return {**contents, "_meta": {"ui": self._ui}} if self._ui else contents


def needs_of_any(needs: Iterable[frozenset[str]]) -> frozenset[str]:
    """Return what holds where one of several needs of scopes holds; without any, nothing is needed.

    Raises ToolDefinitionError if there are too many ways to put that.
    """
    alternatives = list(dict.fromkeys(needs))
    if len(alternatives) < 2:  # noqa: PLR2004 - none or one
        return alternatives[0] if alternatives else frozenset()
    groups: set[frozenset[str]] = set()
    for chosen in product(*map(groups_of, alternatives)):
        groups.add(frozenset(scope for group in chosen for scope in group))
        if len(groups) > _MOST_GROUPS:
            raise ToolDefinitionError("the tools that show one app need too many different scopes; declare two apps")
    # A group that holds another one adds nothing.
    least = [group for group in groups if not any(other < group for other in groups)]
    return all_of(*(any_of(*sorted(group)) for group in sorted(least, key=sorted))) if groups else frozenset()
