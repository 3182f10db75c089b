"""The bridge from the modern era to a server that knows the handshake only (2026-07-28 basic/versioning)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gatepost.fronts.introduction import Introduction
from gatepost.fronts.raw_json import Additions
from gatepost.protocol.errors import ApplicationError, InvalidParams, UnknownResource
from gatepost.protocol.modern import CACHEABLE_METHODS, SERVER_INFO, discover_result

RESERVED: Final = "io.modelcontextprotocol/"
"""Keys of `_meta` that the specification keeps for itself; servers on Python SDK 2.3 refuse them in a session."""
_ANSWERED_BY: Final = frozenset({"inputResponses", "requestState"})
_CACHE_HINTS: Final[Mapping[str, Any]] = {"ttlMs": 0, "cacheScope": "private"}


def params_for_session(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a modern request's params for a session of the handshake era: the same, without what only that era has."""
    plain = {name: value for name, value in params.items() if name not in _ANSWERED_BY}
    meta: Mapping[str, Any] = plain.pop("_meta", None) or {}
    kept = {key: value for key, value in meta.items() if not key.startswith(RESERVED)}
    if kept:
        plain["_meta"] = kept
    return plain


class Finishing:
    """Gives results what every one of the modern era has, where the server has not said it itself.

    Args:
        introduction: of the server that the results are of.
    """

    __slots__ = ("_cacheable", "_plain", "introduction")

    def __init__(self, introduction: Introduction) -> None:
        meta = {SERVER_INFO: introduction.info}
        self.introduction = introduction
        self._plain = Additions({"resultType": "complete"}, meta)
        self._cacheable = Additions({"resultType": "complete", **_CACHE_HINTS}, meta)

    def finished(self, method: str, raw: bytes) -> bytes:
        """Return a result of a method with all of that."""
        return (self._cacheable if method in CACHEABLE_METHODS else self._plain).put_into(raw)


def error_for_modern(error: ApplicationError) -> ApplicationError:
    """Return a server's error for a client of the modern era: as it is, but for a code that has been replaced."""
    body = error.body()
    if body["code"] == UnknownResource.code:
        return ApplicationError({**body, "code": InvalidParams.code})
    return error


def discovery(introduction: Introduction, *, is_same_for_all: bool) -> dict[str, Any]:
    """Return the answer to `server/discover`, which is its caller's alone where the server knows who that is."""
    result = discover_result(
        capabilities=introduction.capabilities,
        server_info=introduction.info,
        instructions=introduction.instructions,
    )
    return result if is_same_for_all else {**result, "cacheScope": "private"}
