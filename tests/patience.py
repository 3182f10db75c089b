"""How long a test waits for what should happen at once in its own process."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Result = TypeVar("Result")

PATIENCE = 10.0
"""Seconds: more than a busy machine needs, and little enough to wait for when something is broken."""

LONGEST_TEST = 100.0
"""Seconds that an async test may take altogether: so one that waits for what never comes fails, and says where."""


def bounded(test: Callable[P, Awaitable[Result]]) -> Callable[P, Awaitable[Result]]:
    """Return the test with an end to its waiting."""

    @functools.wraps(test)
    async def within(*args: P.args, **kwargs: P.kwargs) -> Result:
        async with asyncio.timeout(LONGEST_TEST):
            return await test(*args, **kwargs)

    return within
