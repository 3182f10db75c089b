"""The id of a request: it stands in each log line that is written for it, and names the incident of a 5xx answer.

A request gets its id when somebody asks for it first. So a request of which nothing is logged costs one context
variable, and no random bytes.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeAlias

from gatepost.late_dataclass import dataclass

RequestState: TypeAlias = MutableMapping[str, Any]
"""What lives as long as one request, such as an ASGI scope."""

_ID: Final = "gatepost.request_id"
_BYTES: Final = 8


class RequestIds(Protocol):
    """Gives requests their ids."""

    def id_of(self, request: RequestState, /) -> str:
        """Return the id of a request, the same at each call."""
        ...


UNASKED: Final = object()
"""In place of the caller of a request of whom nobody has asked who it is."""
CURRENT_REQUEST: Final[ContextVar[tuple[RequestIds, RequestState, object] | None]] = ContextVar(
    "gatepost_current_request", default=None
)
"""The request that is being served: what gives it its id, its state, and its caller (None for nobody known).

All of it is one variable, which is set once for an ordinary MCP request: setting one costs some 50 ns.
"""


@dataclass(frozen=True, slots=True)
class RandomRequestIds:
    """Ids of 16 hexadecimal digits."""

    random_bytes: Callable[[int], bytes]

    def id_of(self, request: RequestState, /) -> str:
        """Return the id of a request, the same at each call."""
        known: str | None = request.get(_ID)
        return known or keep_id(request, self.random_bytes(_BYTES).hex())


def keep_id(request: RequestState, request_id: str) -> str:
    """Have a request keep its id, and return it."""
    request[_ID] = request_id
    return request_id


def kept_id(request: RequestState) -> str | None:
    """Return the id that a request has already."""
    known: str | None = request.get(_ID)
    return known


def current_request_id() -> str | None:
    """Return the id of the request that is being served; None outside of requests."""
    current = CURRENT_REQUEST.get()
    return None if current is None else current[0].id_of(current[1])


def incident_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return the id under which the log explains a fault: that of the request, or a new one outside of requests."""
    return current_request_id() or random_bytes(_BYTES).hex()
