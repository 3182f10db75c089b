"""All tests of the suite as one class to inherit from."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import wraps
from types import ModuleType
from typing import Any, Final

import pytest
import pytest_asyncio

from gatepost.stores.conformance.behaviour import (
    account_links,
    administration,
    api_keys,
    approvals,
    apps,
    audit,
    browser_sessions,
    changes,
    clients,
    codes,
    consents,
    device_authorizations,
    exchanges,
    expiry,
    keys,
    limits,
    linked_logins,
    logins,
    mcp_cancellations,
    mcp_sessions,
    mcp_streams,
    passkeys,
    pushed_requests,
    refreshing,
    registration_budget,
    repetition,
    second_steps,
    settings_clients,
    stale_tokens,
    store_life,
    task_life,
    tokens,
    transactions,
    upstream_tokens,
    users,
)
from gatepost.stores.conformance.concurrency import many, processes, tasks, threads, wakeups
from gatepost.stores.conformance.durability import cancellation, kills, reopening
from gatepost.stores.conformance.places import Place
from gatepost.stores.conformance.promises import Trail, in_words
from gatepost.stores.contract.store import Store

MODULES: Final = (
    account_links,
    administration,
    api_keys,
    approvals,
    apps,
    audit,
    browser_sessions,
    changes,
    clients,
    codes,
    consents,
    device_authorizations,
    exchanges,
    expiry,
    keys,
    limits,
    linked_logins,
    logins,
    mcp_cancellations,
    mcp_sessions,
    mcp_streams,
    passkeys,
    pushed_requests,
    refreshing,
    registration_budget,
    repetition,
    second_steps,
    settings_clients,
    stale_tokens,
    store_life,
    task_life,
    tokens,
    transactions,
    upstream_tokens,
    users,
    tasks,
    many,
    threads,
    processes,
    wakeups,
    reopening,
    cancellation,
    kills,
)


class StoreConformance:
    """Every promise of the store contract. A class of yours, named `Test…`, inherits it and says where a store lies.

    What a store does not claim to be is skipped: see `Place`. All others have to pass.
    """

    @pytest.fixture
    def place(self) -> Place:
        """Give each test a place where there is nothing yet."""
        raise NotImplementedError("define the fixture `place`: see docs/own-store.md")

    @pytest_asyncio.fixture
    async def store(self, place: Place) -> AsyncIterator[Store]:
        """Open the store, and close it at the end."""
        async with place.opened() as store:
            yield store


def tests_of(module: ModuleType) -> Iterator[Callable[..., Any]]:
    """Return the tests that are defined in a module, as they stand there."""
    for name, value in vars(module).items():
        if name.startswith("test_") and inspect.iscoroutinefunction(value):
            yield value


def _promised(test: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    """Return the test with a failure that says which promise is broken.

    Args:
        test: an async function with `store` or `place` among its parameters.
        module: where it stands; what is called `prepare` there comes before each test, and `NEEDS` is what a place
            has to claim.
    """
    prepare: Callable[[Store], Any] | None = getattr(module, "prepare", None)
    needs: str | None = getattr(module, "NEEDS", None)

    @wraps(test)
    async def promised(**given: Any) -> None:
        __tracebackhide__ = True
        if needs is not None and not getattr(given["place"], needs):
            pytest.skip(f"this store does not claim that it {needs.replace('_', ' ')}")
        trail = Trail()
        if "store" in given:
            given["store"] = trail.watch(given["store"])
        if "place" in given:
            given["place"] = replace(given["place"], watch=trail.watch)
        try:
            if prepare is not None:
                await prepare(given["store"])
            await test(**given)
        except Exception as failure:
            failure.add_note(trail.message(in_words(test)))
            raise

    # `pytest -k audit` runs the tests of one module: pytest looks for words among a function's attributes too.
    setattr(promised, module.__name__.rpartition(".")[2], module)
    asyncio_test: Callable[..., Any] = pytest.mark.asyncio(promised)
    return asyncio_test


def _fill(suite: type) -> None:
    for module in MODULES:
        for test in tests_of(module):
            if hasattr(suite, test.__name__):
                raise TypeError(f"two tests are called {test.__name__}")
            setattr(suite, test.__name__, staticmethod(_promised(test, module)))


_fill(StoreConformance)
