"""One operation on the store that the settings name, from the terminal, beside a running server or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from gatepost.stores.contract.store import Store

Answer = TypeVar("Answer")


def with_store(operation: Callable[[Store], Awaitable[Answer]]) -> Answer:
    """Open the store, run one operation on it, and close it.

    Raises:
        SettingsError: a setting is wrong, or the store lives in the server's memory.
        StoreError: the store cannot be opened or cannot answer.
    """
    from gatepost.configuration.deployment import locate_store  # noqa: PLC0415 - with the rest of the work
    from gatepost.configuration.settings import SettingsError, load_settings  # noqa: PLC0415 - likewise

    location = locate_store(load_settings())
    if location.is_lost_at_exit:
        raise SettingsError("MCP_STORAGE_URL=memory: lives inside the server process and cannot be reached from here.")

    async def run() -> Answer:
        store = location.make_store()
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())
