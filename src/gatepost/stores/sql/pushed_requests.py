"""Pushed authorization requests in SQL (RFC 9126)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.limits import MOST_BEGUN
from gatepost.oauth.pushed_requests import PushedRequest
from gatepost.stores.sql.database import Operations, Transaction, write
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import PUSHED_REQUESTS

_FIND: Final = """
    SELECT * FROM pushed_requests WHERE reference_fingerprint = $1 AND client_id = $2 AND expires_at > $3
"""
_FORGET: Final = "DELETE FROM pushed_requests WHERE reference_fingerprint = $1"
_DELETE_ENDED: Final = delete_ended("pushed_requests", "reference_fingerprint")
DROP_PUSHED_REQUESTS_OF_CLIENT: Final = "DELETE FROM pushed_requests WHERE client_id = $1"


class SqlPushedRequestStore(Operations):
    """`PushedRequestStore` over a database."""

    @write
    async def push_request(self, transaction: Transaction, request: PushedRequest, *, most: int = MOST_BEGUN) -> None:
        await PUSHED_REQUESTS.insert_among_newest(transaction, request, most=most)

    @write
    async def take_request(
        self, transaction: Transaction, reference_fingerprint: bytes, *, client_id: str, now: int
    ) -> PushedRequest | None:
        request = await PUSHED_REQUESTS.one(transaction, _FIND, reference_fingerprint, client_id, now)
        if request is not None:
            await transaction.run(_FORGET, reference_fingerprint)
        return request

    @write
    async def delete_pushed_requests(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)
