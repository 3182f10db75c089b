"""Rates of tools: how often one person may call one (MCP server/tools, "Security Considerations").

A tool that says `rate="10/minute"` is counted by the same rule as everything else that is (`oauth.limits`): ten calls
at once, and one more every six seconds after them. Who counts is given from outside, so that several processes count
together; without that, each process does by itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import field
from hashlib import blake2b
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.oauth.limits import Rate, Use, take
from gatepost.resource.principal import Principal
from gatepost.server.calls.callers import user_of

_RATE: Final = re.compile(r"([1-9][0-9]{0,5})\s*(?:/|per)\s*(?:([1-9][0-9]{0,3})\s*)?(second|minute|hour|day)s?")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 24 * 3600}
_MOST_KEYS: Final = 10_000
_DIGEST_BYTES: Final = 16


class TooManyCalls(Exception):
    """The person has called a tool as often as its rate allows, and may again in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"try again in {retry_after} seconds")
        self.retry_after = retry_after


class CallLimits(Protocol):
    """Counts calls."""

    async def admit(self, key: str, rate: Rate) -> None:
        """Count one call under a key.

        Raises:
            TooManyCalls: it is not allowed now, and does not count.
            StoreUnavailable: it cannot be counted.
        """
        ...


@dataclass(slots=True, eq=False)
class ProcessLimits:
    """Counts the calls of one process, on stdio for instance, where there is nothing else."""

    now: Callable[[], float] = time.time
    """Seconds UTC."""
    _spent_until: dict[str, int] = field(default_factory=dict, init=False)
    """By key, in microseconds UTC."""

    async def admit(self, key: str, rate: Rate) -> None:
        """See `CallLimits`."""
        taken = take(self._spent_until.pop(key, None), Use(key, rate), now=int(self.now()))
        if len(self._spent_until) >= _MOST_KEYS:
            del self._spent_until[next(iter(self._spent_until))]  # the one that was used least lately
        self._spent_until[key] = taken.spent_until
        if taken.wait:
            raise TooManyCalls(taken.wait)


def rate_of(text: str) -> Rate:
    """Return what a text such as `10/minute`, `5 per second` or `100/2 hours` means; ValueError if it is none."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'{text!r} is no rate; write "10/minute", "5/second" or "100/2 hours"')
    uses, count, unit = found.groups()
    return Rate(int(uses), int(count or 1) * _SECONDS[unit])


def key_of(tool: str, principal: Principal | None) -> str:
    """Return what the calls of a tool by one person are counted under; without authentication by all together."""
    user = user_of(principal)
    if user is None:
        return tool
    digest = blake2b("\n".join(user).encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{tool}:{digest}"
