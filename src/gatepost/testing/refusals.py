"""What a server refused to a client that speaks through `httpx2`."""

from __future__ import annotations

import re
from typing import Final

import httpx2

from gatepost.late_dataclass import dataclass

_PARAMETER: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_REFUSED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """An answer 401 or 403, by its challenge (RFC 6750 section 3, RFC 9728 section 5.1)."""

    status: int
    error: str | None
    """Such as `invalid_token` or `insufficient_scope`; None where no token was sent."""
    scopes: tuple[str, ...]
    """Those that are needed, as far as the challenge says."""
    description: str | None = None
    """For people."""


class Refusals(list[RefusedRequest]):
    """Those that one client has met, the last at the end."""

    async def note(self, response: httpx2.Response) -> None:
        """Note an answer if it is a refusal; a response hook of `httpx2.AsyncClient`."""
        if response.status_code not in _REFUSED:
            return
        challenge = response.headers.get("www-authenticate", "")
        said = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _PARAMETER.findall(challenge)}
        scopes = tuple(said.get("scope", "").split())
        self.append(RefusedRequest(response.status_code, said.get("error"), scopes, said.get("error_description")))
