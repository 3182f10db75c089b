"""The model and the SQL store side by side, for machines that do the same to both and compare."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from gatepost.stores.conformance.records import NOW, WINDOW
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from tests.stores.model import model_store

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)

DeleteBatch = Callable[..., Awaitable[int]]


class BothStores(RuleBasedStateMachine):
    """Two new, empty stores and a clock. A machine of this kind adds rules, and `look_everything_up`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.loop = asyncio.new_event_loop()
        # In memory, so that there is time for more of it; the statements are those of every database.
        self.stores: tuple[Store, ...] = (model_store(), memory_store())

    def teardown(self) -> None:
        """Compare all that can be seen, and clean up."""
        try:
            self.look_everything_up()
        finally:
            self.loop.close()

    def look_everything_up(self) -> None:
        """Ask every question that a store answers about every record made so far."""

    def both(self, call: Callable[[Store], Awaitable[Any]]) -> Any:
        """Return the answer of both stores, after seeing that it is one."""

        async def ask() -> list[Any]:
            return [await call(store) for store in self.stores]

        of_the_model, of_the_store = self.loop.run_until_complete(ask())
        assert of_the_model == of_the_store
        return of_the_store

    def delete(self, call: Callable[[Store], DeleteBatch], *, before: int, limit: int) -> None:
        """Delete a batch, then all the rest: which rows go first is promised nowhere, only how many."""
        self.both(lambda store: call(store)(before=before, limit=limit))
        self.both(lambda store: call(store)(before=before, limit=10_000))

    @rule(seconds=st.sampled_from((1, WINDOW, WINDOW + 1, 600, 1800, 3600, 50_000)))
    def let_time_pass(self, seconds: int) -> None:
        self.now += seconds
