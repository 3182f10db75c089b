"""Opening a store that is not there yet: a database that starts with its servers, or fails over meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store

logger = logging.getLogger("gatepost.stores")

_PAUSE_SECONDS: Final = 0.5


async def open_when_there(
    store: Store,
    *,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Open a store, and try again while it cannot be reached.

    Args:
        store: what is to be opened.
        seconds: for how long; 0 tries once.
        clock: seconds that never go back.
        sleep: waits for seconds.

    Raises:
        StoreMisconfigured: at once, as waiting would not help: the password is wrong, the schema is newer.
        StoreUnavailable: it could not be reached in this time.
    """
    end, said = clock() + seconds, False
    while True:
        try:
            await store.open()
        except StoreUnavailable as fault:
            if clock() >= end:
                raise
            if not said:
                logger.warning(
                    "waiting for the store, at most %s seconds (MCP_STORAGE_WAIT_SECONDS): %s", f"{seconds:g}", fault
                )
                said = True
        else:
            if said:
                logger.warning("the store is there now")
            return
        await sleep(_PAUSE_SECONDS)
