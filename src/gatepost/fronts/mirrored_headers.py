"""Headers that mirror the arguments of tools behind a front (2026-07-28 basic/transports/streamable-http).

A tool says in its input schema, by `x-mcp-header`, which arguments stand in headers too, and who reads the body has to
compare the two. The server behind never sees the headers, so the front does it, by the schemas in the lists of tools
that went through it: a client that has no such list cannot know the headers either.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.fronts.raw_json import decoded
from gatepost.late_dataclass import dataclass
from gatepost.protocol.header_values import (
    ANNOTATION,
    InvalidAnnotation,
    MirroredArgument,
    check_mirrors,
    mirrored_arguments,
)

MOST_TOOLS: Final = 10_000
"""Of how many tools the annotations are kept; those that were noted first go first."""
_MOST_WARNED: Final = 1_000
_ANNOTATION: Final = ANNOTATION.encode()
_ON_HTTP: Final = b"mcp-method"
"""The header that every HTTP request of the modern era has."""

logger = logging.getLogger("gatepost.front")


@dataclass(slots=True)
class HeaderAnnotations:
    """Reads which arguments of tools stand in headers, too; a tool that says it wrongly is in the log once."""

    _warned: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]], init=False)

    def read(self, name: str, schema: Any) -> tuple[MirroredArgument, ...]:
        """Return what a tool's input schema says; nothing where it is wrong: clients leave out such a tool."""
        try:
            return mirrored_arguments(schema)
        except (InvalidAnnotation, TypeError, AttributeError, RecursionError) as error:
            warning = name, str(error)
            if warning not in self._warned and len(self._warned) < _MOST_WARNED:
                self._warned.add(warning)
                logger.warning("a tool of the server behind is annotated wrongly: %s", error)
            return ()


@dataclass(slots=True)
class MirroredHeaders:
    """Which arguments of which tools stand in headers, too."""

    _of: dict[tuple[Hashable, str], tuple[MirroredArgument, ...]] = field(
        default_factory=dict[tuple[Hashable, str], tuple[MirroredArgument, ...]], init=False
    )
    """By whose tool it is, and its name."""
    _annotations: HeaderAnnotations = field(default_factory=HeaderAnnotations, init=False)

    def note(self, whose: Hashable, raw: bytes) -> None:
        """Take a result of `tools/list`; `whose`: None where all users have the same tools."""
        if not self._of and _ANNOTATION not in raw:
            return
        tools = decoded(raw).get("tools")
        for tool in tools if type(tools) is list else ():
            if type(tool) is dict and type(tool.get("name")) is str:
                self._note_tool((whose, tool["name"]), tool.get("inputSchema"))

    def check(self, whose: Hashable, params: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        """Compare the headers of a `tools/call` with its arguments.

        Raises HeaderMismatch: one is missing, malformed or says something else.
        """
        if not self._of or _ON_HTTP not in headers:
            return
        name, arguments = params.get("name"), params.get("arguments")
        mirrored = self._of.get((whose, name)) if type(name) is str else None
        if mirrored is not None:
            check_mirrors(mirrored, arguments if type(arguments) is dict else {}, headers)

    def _note_tool(self, key: tuple[Hashable, str], schema: Any) -> None:
        self._of.pop(key, None)
        # One that calls a tool with a wrong annotation all the same knows of no header.
        mirrored = self._annotations.read(key[1], schema)
        if mirrored:
            self._of[key] = mirrored
            if len(self._of) > MOST_TOOLS:
                del self._of[next(iter(self._of))]
