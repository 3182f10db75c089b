"""A run as the store has it: what its code asks, keeps for another run and says of how far it is, and its end."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gatepost.extensions.tasks.limits import KEPT_SECONDS
from gatepost.extensions.tasks.sealing import TaskSeal
from gatepost.server.calls.exchange import Results
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.tasks import TaskEnding

if TYPE_CHECKING:
    from gatepost.extensions.tasks.run import Run
    from gatepost.extensions.tasks.runs import TaskRuns

_LONGEST_MESSAGE: Final = 1_000
"""Characters."""
_NOTE_SECONDS: Final = 1.0
"""Between two notes of how far a task is."""
_TRIES: Final = 8
"""How often it is tried to keep how a task ended, in two minutes."""

_log: Final = logging.getLogger("gatepost.tasks")


async def keep_ending(runs: TaskRuns, key: bytes, runner: str, ending: TaskEnding, *, kept_for: int = 0) -> bool:
    """End a task in the store, and try for two minutes; False where it has ended before, is another's, or cannot be."""
    for number in range(_TRIES):
        now = runs.host.now()
        try:
            return await runs.host.store.tasks.finish_task(
                key, ending, runner=runner, now=now, kept_until=now + kept_for
            )
        except StoreUnavailable as error:
            _log.warning("how a task ended cannot be kept yet: %s", error)
            await runs.pause(min(2**number, 30))
    return False


class KeptRun:
    """`Kept` over the store.

    Args:
        runs: those of the process.
        run: the one that this is.
        seal: of its task.
        runner: what the process was called when it began to run the task: another name is another process to others.
        is_resumable: whether the task may be run again.
    """

    def __init__(self, runs: TaskRuns, run: Run, seal: TaskSeal, runner: str, *, is_resumable: bool) -> None:
        self._runs = runs
        self._run = run
        self._seal = seal
        self._runner = runner
        self._is_resumable = is_resumable
        self._noted_at = -_NOTE_SECONDS
        self._to_note: str | None = None

    async def ask(self, requests: Mapping[str, bytes]) -> Results:
        runs, key, store = self._runs, self._run.key, self._runs.host.store.tasks
        try:
            with runs.waiters.expected(key) as woken:
                sealed = self._seal.sealed("request", requests, runs.host.random_bytes)
                found = await store.ask(key, sealed, runner=self._runner, now=runs.host.now())
                runs.watches.changed(key)
                while found is not None and not requests.keys() <= found.keys():
                    await woken.wait()
                    woken.clear()
                    found = await store.find_responses(key)
        except asyncio.CancelledError:
            if not self._run.scope.is_cancelled:
                # The code gave up waiting, and goes on without.
                with suppress(StoreUnavailable):
                    await store.withdraw(key, list(requests), runner=self._runner, now=runs.host.now())
                runs.watches.changed(key)
            raise
        if found is None:
            raise self._is_anothers()
        responses = self._seal.opened("response", {name: found[name] for name in requests})
        return {name: json.loads(response) for name, response in responses.items()}

    async def keep_value(self, name: str, value: bytes) -> None:
        if not self._is_resumable:
            return  # nobody would ever read it
        runs = self._runs
        kept = self._seal.sealed("value", {name: value}, runs.host.random_bytes)
        if not await runs.host.store.tasks.keep_value(self._run.key, name, kept[name], runner=self._runner):
            raise self._is_anothers()

    async def note(self, message: str) -> None:
        is_noting, self._to_note = self._to_note is not None, message[:_LONGEST_MESSAGE]
        if is_noting:
            return
        wait = self._noted_at + _NOTE_SECONDS - time.monotonic()
        if wait > 0:
            self._runs.spawn(self._note_later(wait))
        else:
            await self._note()

    async def finish(self, ending: TaskEnding) -> bool:
        sealed = self._seal.sealed_ending(ending, self._runs.host.random_bytes)
        is_kept = await keep_ending(self._runs, self._run.key, self._runner, sealed, kept_for=KEPT_SECONDS)
        self._runs.watches.changed(self._run.key)
        return is_kept

    async def let_go(self) -> None:
        """Look at no more news of it: the store knows how it ended."""
        with suppress(StoreUnavailable):
            await self._runs.host.store.tasks.forget_news(self._runner, [self._run.key])

    def _is_anothers(self) -> asyncio.CancelledError:
        """Stop the run, whose task this process runs no more, and return what its code is to meet."""
        self._run.stop()
        return asyncio.CancelledError()

    async def _note_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._note()

    async def _note(self) -> None:
        runs, message = self._runs, self._to_note
        self._noted_at, self._to_note = time.monotonic(), None
        if message is None or runs.running.get(self._run.key) is not self._run:
            return
        # What is said of it beside the work is no reason to fail.
        with suppress(StoreUnavailable):
            noted = await runs.host.store.tasks.note_progress(
                self._run.key, message, runner=self._runner, now=runs.host.now()
            )
            runs.watches.changed(self._run.key)
            if not noted:
                self._run.stop()
