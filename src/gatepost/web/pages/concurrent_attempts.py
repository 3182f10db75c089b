"""How many attempts to log in one browser may have under way at a time.

`login_throttle.py` counts attempts over minutes; this keeps one browser from filling the queue of those that wait for
their password to be checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gatepost.web.site.limits import too_many_requests

AT_ONCE: Final = 2
"""A double click is honest."""
_RETRY_AFTER: Final = 5


class AttemptsAtOnce:
    """Counts what is under way, for this process alone: so are the threads that it protects."""

    def __init__(self) -> None:
        self._under_way: dict[str, int] = {}

    @contextmanager
    def one_of(self, browser_id: str) -> Iterator[None]:
        """Count one attempt while it is under way.

        Raises:
            TooManyRequests: this browser has as many under way as it may.
        """
        count = self._under_way.get(browser_id, 0)
        if count >= AT_ONCE:
            raise too_many_requests(_RETRY_AFTER)
        self._under_way[browser_id] = count + 1
        try:
            yield
        finally:
            left = self._under_way.pop(browser_id) - 1
            if left:
                self._under_way[browser_id] = left
