"""What is expected of an operation that is called twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from gatepost.stores.contract.store import Store

ANYTHING: Final = object()
"""An answer that is judged elsewhere."""
REFUSED: Final = object()
"""An error of the backend: the key of a record is made for one call, and a caller makes another record for another."""


@dataclass(frozen=True)
class Repetition:
    """An operation that is called twice."""

    call: Callable[[Store], Awaitable[Any]]
    first: Any
    second: Any
    counts: bool = False
    """Whether each call counts for itself."""


def twice(call: Callable[[Store], Awaitable[Any]], first: Any, second: Any, *, counts: bool = False) -> Repetition:
    return Repetition(call, first, second, counts=counts)
