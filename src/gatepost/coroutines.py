"""Going on with a coroutine whose first step was taken by hand, because most end in it and then cost nothing more."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def resume(
    work: Coroutine[Any, Any, T], awaited: Any, is_ended: Callable[[], bool] | None = None
) -> Generator[Any, Any, T]:
    """Go on with a coroutine that has been started: what `await` does, from the second step on (PEP 380).

    Args:
        work: the coroutine, suspended.
        awaited: what its last step gave.
        is_ended: asked when something is thrown in, such as a cancellation; work that has been closed never sees it.
    """
    step: Callable[[Any], Any]
    while True:
        try:
            value = yield awaited
        except BaseException as error:  # cancellation and all else is for the work to see
            if is_ended is not None and is_ended():
                raise
            step, value = work.throw, error
        else:
            step = work.send
        try:
            awaited = step(value)
        except StopIteration as finished:
            result: T = finished.value
            return result
