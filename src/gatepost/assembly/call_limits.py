"""Calls of tools that have a rate, counted where everything else is: for all processes of an installation together."""

from __future__ import annotations

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.limits import Rate
from gatepost.web.site.limits import Limits


@dataclass(frozen=True, slots=True)
class SharedCallLimits:
    """`CallLimits` of one endpoint."""

    limits: Limits
    """Without the operator's factor, which is for what strangers may do; a tool's rate is its author's."""
    path: str

    async def admit(self, key: str, rate: Rate) -> None:
        """See `CallLimits`."""
        try:
            await self.limits.admit(f"call:{self.path}:{key}", rate)
        except TooManyRequests as error:
            from gatepost.server.calls.rates import TooManyCalls  # noqa: PLC0415 - most tools have no rate

            raise TooManyCalls(error.retry_after) from None
