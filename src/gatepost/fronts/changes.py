"""What a server behind a front says of changes, and to which list it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gatepost.protocol.uris import normal_form
from gatepost.server.changes.bus import Change, ChangeKind

_LIST_CHANGES: Final[Mapping[str, Change]] = {
    "notifications/tools/list_changed": Change("tools"),
    "notifications/prompts/list_changed": Change("prompts"),
    "notifications/resources/list_changed": Change("resources"),
}
_UPDATED: Final = "notifications/resources/updated"
KIND_OF: Final[Mapping[str, ChangeKind]] = {
    "tools/list": "tools",
    "tools/call": "tools",
    "prompts/list": "prompts",
    "prompts/get": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resources",
    "resources/read": "resources",
}
"""Methods, each with the list that says what they are about."""


def change_of(method: str, params: Mapping[str, Any]) -> Change | None:
    """Return the change that a notification is about; None for one that is about something else."""
    if method == _UPDATED:
        uri = params.get("uri")
        return Change("resource", uri=normal_form(uri) or uri) if type(uri) is str else None
    return _LIST_CHANGES.get(method)
