"""A run as the store has it: what its code asks the client, keeps for another run, and says of how far it is."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gatepost.server.calls.exchange import Results
from gatepost.stores.contract.errors import StoreUnavailable

if TYPE_CHECKING:
    from gatepost.extensions.tasks.runs import TaskRuns

_LONGEST_MESSAGE: Final = 1_000
"""Characters."""
_NOTE_SECONDS: Final = 1.0
"""Between two notes of how far a task is."""


class KeptRun:
    """`Kept` over the store."""

    def __init__(self, runs: TaskRuns, key: bytes) -> None:
        self._runs = runs
        self._key = key
        self._noted_at = -_NOTE_SECONDS
        self._to_note: str | None = None

    async def ask(self, requests: Mapping[str, bytes]) -> Results:
        runs, key, store = self._runs, self._key, self._runs.host.store.tasks
        try:
            with runs.waiters.expected(key) as woken:
                found = await store.ask(key, requests, runner=runs.runner, now=runs.host.now())
                runs.watches.changed(key)
                while found is not None and not requests.keys() <= found.keys():
                    await woken.wait()
                    woken.clear()
                    found = await store.find_responses(key)
        except asyncio.CancelledError:
            run = runs.running.get(key)
            if run is not None and not run.scope.is_cancelled:
                # The code gave up waiting, and goes on without.
                await store.withdraw(key, list(requests), runner=runs.runner, now=runs.host.now())
                runs.watches.changed(key)
            raise
        if found is None:
            raise asyncio.CancelledError
        return {name: json.loads(found[name]) for name in requests}

    async def keep_value(self, name: str, value: bytes) -> None:
        await self._runs.host.store.tasks.keep_value(self._key, name, value, runner=self._runs.runner)

    async def note(self, message: str) -> None:
        is_noting, self._to_note = self._to_note is not None, message[:_LONGEST_MESSAGE]
        if is_noting:
            return
        wait = self._noted_at + _NOTE_SECONDS - time.monotonic()
        if wait > 0:
            self._runs.spawn(self._note_later(wait))
        else:
            await self._note()

    async def _note_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._note()

    async def _note(self) -> None:
        runs, message = self._runs, self._to_note
        self._noted_at, self._to_note = time.monotonic(), None
        if message is None or self._key not in runs.running:
            return
        # What is said of it beside the work is no reason to fail.
        with suppress(StoreUnavailable):
            await runs.host.store.tasks.note_progress(self._key, message, runner=runs.runner, now=runs.host.now())
            runs.watches.changed(self._key)
