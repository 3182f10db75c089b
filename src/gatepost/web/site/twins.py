"""/authorize, /token and /register answer like their twins below /oauth.

Clients of revision 2025-03-26 use these addresses where they find no metadata ("Fallbacks for Servers without Metadata
Discovery"), and some of later ones still do, where a proxy hides the well-known addresses. Whatever the operator serves
there goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.front_door import open_to_every_origin

TOKEN_PATH: Final = "/oauth/token"
_TWINS: Final = {
    "/authorize": "/oauth/authorize",
    "/token": TOKEN_PATH,
    "/register": "/oauth/register",
}
_PAGE: Final = "/authorize"
"""For browsers that go there; the others are for programs, in pages of any origin too."""


class Twins:
    """Leads from a short address to the long one.

    Args:
        table: serves the long ones.
        is_taken: says whether the operator's own app serves a request, by its scope.
        taken: paths of our own that go first.
    """

    def __init__(self, table: ASGIApp, *, is_taken: Callable[[Scope], bool], taken: Iterable[str] = ()) -> None:
        self._table = table
        self._open = open_to_every_origin(table)
        self._is_taken = is_taken
        self._twins = {path: twin for path, twin in _TWINS.items() if path not in taken}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        twin = self._twins.get(scope["path"]) if scope["type"] == "http" else None
        if twin is None or self._is_taken(scope):
            await self._table(scope, receive, send)
            return
        answer = self._table if scope["path"] == _PAGE else self._open
        await answer({**scope, "path": twin, "raw_path": twin.encode()}, receive, send)
