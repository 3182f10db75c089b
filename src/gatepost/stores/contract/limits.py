"""Limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gatepost.oauth.limits import Use


class LimitStore(Protocol):
    """How much of each allowance is spent, for all processes together."""

    async def take(self, uses: Sequence[Use], *, now: int) -> int:
        """Take all of `uses`, or nothing if one is not allowed; see `gatepost.oauth.limits`.

        Return 0 when they are taken, else the seconds after which all of them would be allowed. Rows are bounded: each
        new one removes up to two that mean nothing any more.

        Repeated: taken again, which is stricter.
        """

    async def give_back(self, uses: Sequence[Use], *, now: int) -> None:
        """Give back what `take` took; see `gatepost.oauth.limits.give_back`. What is kept of no key stays so.

        Repeated: given back again. So it is not to be repeated: a use too many is the safe side.
        """

    async def delete_limits(self, *, before: int, limit: int) -> int:
        """Delete rows that mean nothing since `before`."""
