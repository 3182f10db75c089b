"""What is public about the MCP endpoints of an origin: a card each, the catalog of all, and the registry's proof.

Built once, as they change with the server alone. Everybody may read them, from pages of every origin, without a token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.protocol.server_card import (
    CARD_SUFFIX,
    CARD_TYPE,
    CATALOG_PATHS,
    CATALOG_TYPE,
    REGISTRY_PROOF_PATH,
    catalog,
    name_in,
    namespace_of,
    server_card,
)
from gatepost.web.site.routing import Route

_FRESH_SECONDS: Final = 3600
_COMMON: Final = {
    "Cache-Control": f"public, max-age={_FRESH_SECONDS}",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


@dataclass(frozen=True, slots=True)
class Described:
    """An MCP endpoint that has a card."""

    path: str
    info: Mapping[str, Any]
    """What the server says of itself, an `Implementation` in the newest revision's shape."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The documents of one origin."""

    origin: str
    """With the path of the public URL, if it has one."""
    endpoints: Sequence[Described]
    _: KW_ONLY
    namespace: str | None = None
    """What the names of the servers begin with; the host backwards when None."""
    proof: str | None = None
    """What shows the registry that the operator has this domain."""

    def routes(self) -> tuple[Route, ...]:
        """Return where the documents are."""
        names = self._names()
        host = urlsplit(self.origin).hostname or "localhost"
        routes = [
            Route(
                "GET",
                each.path + CARD_SUFFIX,
                _document(server_card(each.info, name=name, url=self.origin + each.path), CARD_TYPE),
            )
            for each, name in zip(self.endpoints, names, strict=True)
        ]
        if self.endpoints:
            cards = [self.origin + each.path + CARD_SUFFIX for each in self.endpoints]
            listed = _document(catalog(host, zip(names, cards, strict=True)), CATALOG_TYPE)
            routes += [Route("GET", path, listed) for path in CATALOG_PATHS]
        if self.proof is not None:
            routes.append(Route("GET", REGISTRY_PROOF_PATH, _answering(f"{self.proof}\n".encode(), "text/plain")))
        return tuple(routes)

    def _names(self) -> list[str]:
        return distinct_names(self.namespace or namespace_of(self.origin), self.endpoints)


def distinct_names(namespace: str, endpoints: Iterable[Described]) -> list[str]:
    """Return the name of each server; of those that are called alike, the later ones have their path in it."""
    names: list[str] = []
    for each in endpoints:
        name = name_in(namespace, each.info["name"])
        names.append(name if name not in names else name_in(namespace, f"{each.info['name']}{each.path}"))
    return names


def _document(content: Mapping[str, Any], media_type: str) -> Callable[[Request], Any]:
    return _answering(orjson.dumps(content), media_type)


def _answering(content: bytes, media_type: str) -> Callable[[Request], Any]:
    """Return what answers with `content`, or 304 to who has it already (RFC 9110 section 13.1.2)."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**_COMMON, "ETag": etag}

    async def get(request: Request) -> Response:
        if _has(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return get


def _has(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    known = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in known or etag in known
