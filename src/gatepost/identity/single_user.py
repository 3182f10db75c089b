"""One user and no login: for scripts, demos and a laptop of one's own.

Everybody who can reach the server is this user, so `app` refuses to combine it with a public URL.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from gatepost.identity.operator_named import OperatorNamedProvider
from gatepost.identity.provider import Identity


class SingleUserProvider(OperatorNamedProvider):
    """Says of every browser that it is the one user's."""

    name = "single-user"

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity:
        """Return the one user."""
        return self._identity
