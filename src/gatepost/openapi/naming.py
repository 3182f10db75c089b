"""Names that clients take: of tools, arguments and definitions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container
from typing import Final

LONGEST_NAME: Final = 64
"""Characters. MCP takes 128 (server/tools, "Tool Names"), the models of large clients 64, without dots."""
_OTHERS: Final = re.compile(r"[^A-Za-z0-9_-]+")
_EDGES: Final = "_-"
_HASH_CHARACTERS: Final = 8


def plain(text: str) -> str:
    """Return a text as a name: letters, digits, `_` and `-`, at most 64; perhaps an empty one."""
    return shortened(_OTHERS.sub("_", text).strip(_EDGES))


def shortened(name: str) -> str:
    """Return a name of at most 64 characters; what is cut off is in the hash at its end."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - _HASH_CHARACTERS - 1]}_{_hash(name)}"


def tool_name(operation_id: str | None, method: str, path: str, taken: Container[str]) -> str:
    """Return the name of the tool for an operation.

    It is the `operationId` as far as its characters go, or method and path. If that is taken, a hash of method and path
    follows: what an operation is called depends on no other one but that.
    """
    own = plain(operation_id or "") or plain(f"{method.lower()}{path}") or method.lower()
    if own not in taken:
        return own
    mark = _hash(f"{method} {path}")
    return f"{own[: LONGEST_NAME - len(mark) - 1]}_{mark}"


def unique(wanted: str, taken: Container[str]) -> str:
    """Return a name, or it with a number if it is taken."""
    name, number = wanted, 2
    while name in taken:
        name = f"{wanted[: LONGEST_NAME - 5]}_{number}"
        number += 1
    return name


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_HASH_CHARACTERS]
