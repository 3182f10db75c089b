"""Leases: who of several processes does what only one should do."""

from __future__ import annotations

from typing import Protocol


class LeaseStore(Protocol):
    """Leases by name. A lease is a courtesy: nothing breaks if two hold it."""

    async def take_lease(self, name: str, *, holder: str, now: int, until: int) -> bool:
        """Hold the lease until `until` if it is free, over or the holder's own already; say whether it is held.

        One that ends later than `until` by more than what is asked for (`until - now`) counts as over: it was taken by
        a clock that is ahead, and would keep everybody else away until then.

        Repeated: True, for the holder.
        """

    async def return_lease(self, name: str, *, holder: str) -> None:
        """Release the lease if `holder` holds it.

        Repeated: fine.
        """
