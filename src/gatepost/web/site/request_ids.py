"""The id of an HTTP request: a trusted proxy's `X-Request-Id` if it looks like an id, or else one of ours.

Whatever stands there is repeated in the log and in the text of a 5xx answer, so it has to be short and plain. From
anybody but a trusted proxy it is the client's own text, and is not looked at.
"""

from __future__ import annotations

import re
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.telemetry.request_ids import RandomRequestIds, RequestState, keep_id, kept_id
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.site.client_address import ClientAddresses

REQUEST_ID_HEADER: Final = b"x-request-id"

_SANE: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{7,63}")
"""UUIDs, hexadecimal digits, and what proxies put together of such."""


@dataclass(frozen=True, slots=True)
class HttpRequestIds:
    """Gives HTTP requests their ids."""

    addresses: ClientAddresses
    """Say whose word is taken."""
    random_bytes: RandomBytes

    def id_of(self, request: RequestState, /) -> str:
        """Return the id of a request by its ASGI scope, the same at each call."""
        known = kept_id(request)
        if known is not None:
            return known
        given = [value for name, value in request.get("headers", ()) if name == REQUEST_ID_HEADER]
        if len(given) == 1 and _SANE.fullmatch(given[0]) and self.addresses.trusts_peer_of(request):
            return keep_id(request, given[0].decode("ascii"))
        return RandomRequestIds(self.random_bytes).id_of(request)
