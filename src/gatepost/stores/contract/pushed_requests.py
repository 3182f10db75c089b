"""Authorization requests that were pushed and wait for a browser (RFC 9126)."""

from __future__ import annotations

from typing import Protocol

from gatepost.oauth.limits import MOST_BEGUN
from gatepost.oauth.pushed_requests import PushedRequest


class PushedRequestStore(Protocol):
    """Authorization requests that were pushed."""

    async def push_request(self, request: PushedRequest, *, most: int = MOST_BEGUN) -> None:
        """Keep it; its reference is fresh and random. The oldest goes that is not of the `most` newest.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def take_request(self, reference_fingerprint: bytes, *, client_id: str, now: int) -> PushedRequest | None:
        """Return the request and forget it: of parallel callers one gets it.

        None, and nothing is forgotten, when it is over or another client's.

        Repeated: None, so the request is lost, and the client pushes another.
        """

    async def delete_pushed_requests(self, *, before: int, limit: int) -> int:
        """Delete those that ended."""
