"""Counts the operations of a store."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

from gatepost.stores.contract.store import Store


def count_operations(store: Store) -> list[str]:
    """Return a list that grows by the name of each operation that is called from now on, as in `users.find_user`."""
    called: list[str] = []

    def counted(name: str, operation: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            called.append(name)
            return await operation(*args, **options)

        return call

    for field in fields(Store):
        concern = getattr(store, field.name)
        if field.type.endswith("Store"):
            for name, operation in inspect.getmembers(concern, inspect.iscoroutinefunction):
                if not name.startswith("_"):
                    setattr(concern, name, counted(f"{field.name}.{name}", operation))
    return called
