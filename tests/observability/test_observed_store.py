"""Every operation of a store is timed under its name, and nothing else about the store is another one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from itertools import count
from pathlib import Path

import pytest

from gatepost.oauth.audit import AuditQuery
from gatepost.observability.observed_store import CONCERNS, observe_pool, observed_store
from gatepost.stores.contract.administration import Administrator
from gatepost.stores.contract.errors import StoreBusy, StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.postgresql import postgresql_store
from gatepost.stores.sql.sqlite import file_store, memory_store
from gatepost.telemetry.catalogue import POOL_CONNECTIONS, POOL_WAITING, STORE_DURATION, STORE_RETRIES
from tests.telemetry.recorded import Recorded


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def timed(store: Store, recorded: Recorded) -> Store:
    ticks: Iterator[int] = count()
    return observed_store(store, recorded, clock=lambda: next(ticks) / 4)


def test_the_concerns_are_all_that_a_store_is_of_but_what_is_said_of_it_as_a_whole() -> None:
    others = {"description", "is_lost_at_exit", "open", "close", "check", "in_name_of", "wakeups", "figures"}
    assert {*CONCERNS, *others} == {each.name for each in fields(Store)}


@pytest.mark.parametrize("backend", ["memory", "sqlite", "postgresql"])
def test_every_operation_of_every_backend_is_timed(backend: str, recorded: Recorded, tmp_path: Path) -> None:
    made: dict[str, Callable[[], Store]] = {
        "memory": memory_store,
        "sqlite": lambda: file_store(tmp_path / "a.db"),
        "postgresql": lambda: postgresql_store("postgresql://nobody@127.0.0.1:1/none"),
    }
    store = made[backend]()
    observed = timed(store, recorded)
    seen = 0
    for concern in CONCERNS:
        inner = getattr(store, concern)
        for name, operation in inspect.getmembers(inner, callable):
            if not name.startswith("_"):
                outer = getattr(getattr(observed, concern), name)
                assert outer.__wrapped__ == operation, f"{concern}.{name} is not timed"
                seen += 1
    assert seen > 100


async def test_an_operation_is_timed_with_its_result_as_it_is(recorded: Recorded) -> None:
    store = timed(memory_store(), recorded)
    await store.open()
    assert await store.audit.list_events(AuditQuery(), before=None, limit=5) == []
    await store.check()
    await store.close()
    name = STORE_DURATION.name
    assert recorded.values == [
        (name, 0.25, {"operation": "audit.list_events", "outcome": "ok"}),
        (name, 0.25, {"operation": "check", "outcome": "ok"}),
    ]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(StoreUnavailable("down"), "unavailable"), (StoreBusy("busy"), "unavailable"), (ValueError("no"), "refused")],
)
async def test_an_operation_that_fails_is_timed_and_raises_what_it_raised(
    error: Exception, outcome: str, recorded: Recorded
) -> None:
    class Failing:
        async def list_events(self) -> None:
            raise error

    store = timed(replace(memory_store(), audit=Failing()), recorded)  # type: ignore[arg-type]  # one operation is enough
    with pytest.raises(type(error)) as raised:
        await store.audit.list_events()  # type: ignore[call-arg]  # likewise
    assert raised.value is error
    assert recorded.values == [(STORE_DURATION.name, 0.25, {"operation": "audit.list_events", "outcome": outcome})]


async def test_what_is_done_in_the_name_of_an_administrator_is_timed(recorded: Recorded) -> None:
    store = timed(memory_store(), recorded)
    await store.open()
    await store.in_name_of(Administrator(subject="ann", role=None)).users.list_users()
    await store.close()
    assert [labels["operation"] for _, _, labels in recorded.values] == ["users.list_users"]


def test_the_pool_is_observed_where_there_is_one(recorded: Recorded) -> None:
    store = postgresql_store("postgresql://nobody@127.0.0.1:1/none", connections=7)
    observe_pool(store, recorded)
    assert recorded.now(POOL_CONNECTIONS) == [({"state": "used"}, 0), ({"state": "idle"}, 0), ({"state": "limit"}, 7)]
    assert recorded.now(POOL_WAITING) == [({}, 0)]
    assert recorded.now(STORE_RETRIES) == [({}, 0)]


def test_a_store_without_a_pool_has_no_figures(recorded: Recorded) -> None:
    observe_pool(memory_store(), recorded)
    assert [recorded.now(metric) for metric in (POOL_CONNECTIONS, POOL_WAITING, STORE_RETRIES)] == [[], [], []]
