"""Limits in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from gatepost.oauth.limits import MICROSECONDS, Use, take
from gatepost.stores.memory.records import Records


class MemoryLimitStore:
    """`LimitStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def take(self, uses: Sequence[Use], *, now: int) -> int:
        """See `LimitStore.take`."""
        limits = self._records.limits
        taken = {use.key: take(limits.get(use.key), use, now=now) for use in uses}
        wait = max((one.wait for one in taken.values()), default=0)
        if wait == 0:
            new = len(taken.keys() - limits.keys())
            self._delete(before=now, limit=2 * new)
            limits.update({key: one.spent_until for key, one in taken.items()})
        return wait

    async def delete_limits(self, *, before: int, limit: int) -> int:
        """See `LimitStore.delete_limits`."""
        return self._delete(before=before, limit=limit)

    def _delete(self, *, before: int, limit: int) -> int:
        limits = self._records.limits
        over = list(islice((key for key, until in limits.items() if until <= before * MICROSECONDS), limit))
        for key in over:
            del limits[key]
        return len(over)
