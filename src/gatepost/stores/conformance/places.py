"""Where the store under test lies, and how a test comes to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.store import Store


def _unwatched(store: Store) -> Store:
    return store


@dataclass(frozen=True)
class Place:
    """A place for one store, where there is nothing yet; each test gets one of its own.

    Args:
        new_store: gives the store at a location, not open yet; each call another handle. Where processes share the
            store, a function at the top of a module that a new process can import.
        location: what `new_store` is given: a path, a URL.
        is_durable: what was written is still there when a handle was closed and another one is opened.
        is_shared_by_processes: several handles, in threads and in processes, may be open at once. Only what is
            durable can be.
    """

    new_store: Callable[[str], Store]
    location: str
    is_durable: bool = True
    is_shared_by_processes: bool = True
    watch: Callable[[Store], Store] = _unwatched
    """Given by the suite: has what is called on a store written down for the message of a failure."""

    def __post_init__(self) -> None:
        if self.is_shared_by_processes and not self.is_durable:
            raise ValueError("a store that several processes share is durable")

    @property
    def importable(self) -> tuple[str, str]:
        """Return by which module and name another process finds `new_store`."""
        module, name = self.new_store.__module__, self.new_store.__qualname__
        if module == "__main__" or not name.isidentifier():
            raise ValueError(f"another process cannot import {module}.{name}: define it at the top of a module")
        return module, name

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        """Open a new handle on the store, and close it at the end."""
        store = self.new_store(self.location)
        await store.open()
        try:
            yield self.watch(store)
        finally:
            await store.close()
