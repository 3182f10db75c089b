"""A store whose operations are timed, each under the name of its concern and its method.

The wrapper stands around the contract, so it sees what callers see: waiting for a busy store is part of it, and every
backend is measured alike. It is there only where somebody measures.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.telemetry.catalogue import POOL_CONNECTIONS, POOL_WAITING, STORE_DURATION, STORE_RETRIES
from gatepost.telemetry.seam import NO_LABELS, Telemetry

_NOT_CONCERNS: Final = frozenset(
    {"description", "is_lost_at_exit", "open", "close", "check", "in_name_of", "wakeups", "figures"}
)

CONCERNS: Final = tuple(each.name for each in fields(Store) if each.name not in _NOT_CONCERNS)
"""The fields of a `Store` that have operations."""


def observed_store(store: Store, telemetry: Telemetry, *, clock: Callable[[], float] = time.perf_counter) -> Store:
    """Return the store with every operation timed; `clock` gives seconds from any moment on."""
    concerns: dict[str, Any] = {name: _Concern(name, getattr(store, name), telemetry, clock) for name in CONCERNS}
    return replace(
        store,
        **concerns,
        check=_timed("check", store.check, telemetry, clock),
        in_name_of=lambda by: observed_store(store.in_name_of(by), telemetry, clock=clock),
    )


def observe_pool(store: Store, telemetry: Telemetry) -> None:
    """Have the figures of the store's pool observed; a store without one has none."""
    observed = (
        (POOL_CONNECTIONS, {"state": "used"}, "used"),
        (POOL_CONNECTIONS, {"state": "idle"}, "idle"),
        (POOL_CONNECTIONS, {"state": "limit"}, "limit"),
        (POOL_WAITING, NO_LABELS, "under_way"),
        (STORE_RETRIES, NO_LABELS, "retries"),
    )
    for metric in dict.fromkeys(metric for metric, _, _ in observed):
        wanted = [(labels, name) for other, labels, name in observed if other is metric]

        def figures(wanted: Any = wanted) -> list[tuple[Any, float]]:
            there = store.figures()
            return [(labels, there[name]) for labels, name in wanted if name in there]

        telemetry.observe(metric, figures)


class _Concern:
    """The operations of one concern, each timed; wrapped when it is first used."""

    def __init__(self, name: str, concern: Any, telemetry: Telemetry, clock: Callable[[], float]) -> None:
        self._name, self._concern, self._telemetry, self._clock = name, concern, telemetry, clock

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._concern, name)
        if name.startswith("_") or not callable(found):
            return found
        timed = _timed(f"{self._name}.{name}", found, self._telemetry, self._clock)
        self.__dict__[name] = timed
        return timed


def _timed(
    operation: str, run: Callable[..., Awaitable[Any]], telemetry: Telemetry, clock: Callable[[], float]
) -> Callable[..., Any]:
    if not iscoroutinefunction(run):
        return run
    labels = {outcome: {"operation": operation, "outcome": outcome} for outcome in ("ok", "unavailable", "refused")}

    @wraps(run)
    async def timed(*args: Any, **kwargs: Any) -> Any:
        began, outcome = clock(), "ok"
        try:
            return await run(*args, **kwargs)
        except StoreUnavailable:
            outcome = "unavailable"
            raise
        except Exception:
            outcome = "refused"
            raise
        finally:
            telemetry.record(STORE_DURATION, clock() - began, labels[outcome])

    return timed
