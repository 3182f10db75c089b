"""The parent of a server that is being written: it listens, and replaces the process that serves when a file changes.

Like the parent of workers it serves nobody and loads nothing. What was served last is served until the new code is up;
where there is none yet, a process without code shows what is wrong (record 0082).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gatepost.configuration.settings import SettingsError
from gatepost.late_dataclass import dataclass
from gatepost.listening import WORKER_VARIABLE
from gatepost.listening.accepting import ConnectionCounts, new_counts
from gatepost.listening.listeners import Where, own_listener
from gatepost.listening.parent_signals import HeardSignals, hearing_signals
from gatepost.listening.reload_folder import (
    RELOAD_VARIABLE,
    LoadFailure,
    LoadReport,
    ReloadedProcess,
    ReloadFolder,
    ReloadStatus,
)
from gatepost.listening.watching import MOST_FOLDERS, FileWatch
from gatepost.listening.worker import Handover
from gatepost.listening.worker_places import how_it_ended
from gatepost.listening.worker_process import WorkerProcess

_SLOTS: Final = 16
"""So many processes may live at a time: one that serves, one that comes up, and those that end their last calls."""
_MOST_DEATHS: Final = 3
"""In a row, of code that did not change meanwhile."""
_INTERRUPTED: Final = 130


def serve_with_reload(
    where: Where,
    watch: FileWatch,
    *,
    say: Callable[[str], None],
    greeting: Callable[[tuple[str, int], str], str],
    environment: Callable[[tuple[str, int]], Mapping[str, str]],
    command: Sequence[str] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, anew after each change; after SIGINT there is a KeyboardInterrupt.

    Args:
        where: where to listen.
        watch: says what has changed; it is closed at the end.
        say: gets lines for the terminal.
        greeting: returns what is said once something is served, by the address and the secret of this start.
        environment: what the processes that serve find in their environment beside this one's, by the address.
        command: what they run; the command line of this process when None.

    Raises:
        SettingsError: the address cannot be listened on, or this is not the main thread.
        SystemExit: no process comes up, not even one that shows why.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(watch.close)
        if threading.current_thread() is not threading.main_thread():
            raise SettingsError("Reloading is ended by signals, which only the main thread hears.")
        folder = ReloadFolder.make(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-"))))
        listener = stack.enter_context(own_listener(where))
        host, port = listener.getsockname()[:2]
        address = (str(host), int(port))
        start = _Start(
            command=command or [sys.executable, *sys.orig_argv[1:]],
            listener=listener,
            address=address,
            environment={**os.environ, **environment(address)},
            greeting=greeting(address, folder.key),
        )
        parent = _ReloadingParent(start, folder, watch, stack.enter_context(hearing_signals()), say)
        stack.callback(parent.close)
        parent.run()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What every process is started with."""

    command: Sequence[str]
    listener: socket.socket
    address: tuple[str, int]
    environment: Mapping[str, str]
    greeting: str
    """Said once something is served."""


@dataclass(slots=True, eq=False)
class _Started:
    """A process that serves, or is to."""

    process: WorkerProcess
    number: int
    shows_failure: bool
    at: float


class _ReloadingParent:
    def __init__(
        self, start: _Start, folder: ReloadFolder, watch: FileWatch, signals: HeardSignals, say: Callable[[str], None]
    ) -> None:
        self._with, self._folder, self._watch, self._signals, self._say = start, folder, watch, signals, say
        self._current: _Started | None = None
        self._coming: _Started | None = None
        self._leaving: list[_Started] = []
        """Those whose place another one has taken."""
        self._counts_file = new_counts(_SLOTS)
        self._counts = ConnectionCounts(self._counts_file, _SLOTS)
        self._number = self._generation = self._deaths = 0
        self._changed: list[str] = []
        self._failure: LoadFailure | None = None
        self._is_stopping = self._is_interrupted = self._was_cut_off = self._has_greeted = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.socket, selectors.EVENT_READ)
        self._selector.register(watch.socket, selectors.EVENT_READ)

    # --- the loop

    def run(self) -> None:
        """Serve until a signal says otherwise, then until the last process has ended."""
        # Before anything is loaded: what changes from then on is seen.
        self._watch.add(())
        if len(self._watch.folders) == MOST_FOLDERS:
            self._say(f"  Only the first {MOST_FOLDERS} folders here are watched; --watch names others.")
        self._begin()
        while not (self._is_stopping and not self._processes()):
            self._end_late(time.monotonic())
            for key, _events in self._selector.select(self._wait(time.monotonic())):
                if key.data is not None:
                    self._listen_to(key.data)
            for number in self._signals.heard():
                self._obey(number)
            if changed := self._watch.changes():
                self._reload([_shown(path) for path in changed])
            self._bury()
        if self._was_cut_off:
            raise SystemExit(_INTERRUPTED)
        if self._is_interrupted:
            raise KeyboardInterrupt

    def close(self) -> None:
        """End what is left, which is nothing unless something went wrong."""
        for each in self._processes():
            each.process.process.terminate()
        for each in self._processes():
            each.process.end()
        self._selector.close()
        os.close(self._counts_file)

    def _processes(self) -> list[_Started]:
        return [each for each in (self._current, self._coming, *self._leaving) if each is not None]

    def _wait(self, now: float) -> float | None:
        times = [each.process.kill_at for each in self._processes() if each.process.kill_at is not None]
        return max(0.0, min(times) - now) if times else None

    def _end_late(self, now: float) -> None:
        for each in self._processes():
            if each.process.kill_at is not None and now >= each.process.kill_at:
                each.process.kill()

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP and not self._signals.terminal_was_closed():
            self._reload([])
        elif number in {signal.SIGTERM, signal.SIGHUP}:
            self._stop()
        elif number == signal.SIGINT:
            if self._is_stopping:
                for each in self._processes():
                    each.process.send(signal.SIGINT if each.process.is_ready else signal.SIGTERM)
            self._is_interrupted = True
            self._stop()

    def _stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._with.listener.close()
            for each in self._processes():
                each.process.stop(time.monotonic())

    # --- starting

    def _begin(self, *, shows_failure: bool = False) -> None:
        self._coming = self._start(shows_failure=shows_failure)
        self._tell()

    def _reload(self, changed: list[str]) -> None:
        if self._is_stopping:
            return
        if self._coming is not None:
            # It may have read half of what is there now.
            self._coming.process.kill()
            self._leaving.append(self._coming)
        self._changed, self._failure, self._deaths = changed, None, 0
        self._say(f"  {_listed(changed) or 'SIGHUP'}: loading it anew …")
        self._begin()

    def _start(self, *, shows_failure: bool) -> _Started:
        while len(self._processes()) >= _SLOTS:
            oldest = self._leaving.pop(0)
            oldest.process.kill()
            self._forget(oldest)
        self._number += 1
        now, start = time.monotonic(), self._with
        slot = next(slot for slot in range(_SLOTS) if slot not in {each.process.slot for each in self._processes()})
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = (theirs.fileno(), self._counts_file, start.listener.fileno())
            handover = Handover(
                control=theirs.fileno(),
                listeners=[start.listener.fileno()],
                counts=self._counts_file,
                slots=_SLOTS,
                slot=slot,
                is_first=self._generation == 0,
                is_alone=True,
                address=list(start.address),
            )
            told = ReloadedProcess(folder=str(self._folder.path), number=self._number, shows_failure=shows_failure)
            environment = {
                **start.environment,
                WORKER_VARIABLE: handover.as_text(),
                RELOAD_VARIABLE: told.as_text(),
            }
            started = subprocess.Popen(  # noqa: S603 - the command line of this very process
                start.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                # Ctrl-C and the end of the terminal are for the parent, which tells them.
                process_group=0,
            )
        process = WorkerProcess(started, ours, slot, now)
        begun = _Started(process, self._number, shows_failure, now)
        self._selector.register(ours, selectors.EVENT_READ, begun)
        return begun

    # --- what processes say, and their ends

    def _listen_to(self, each: _Started) -> None:
        process = each.process
        if process.read() and each is self._coming:
            self._note_ready(each)
        if process.is_silent and process.control in self._selector.get_map():
            self._selector.unregister(process.control)

    def _note_ready(self, each: _Started) -> None:
        old, self._current, self._coming = self._current, each, None
        self._add_to_watch(self._folder.take_report(each.number))
        if not each.shows_failure:
            self._generation += 1
            self._failure = None
            if self._generation > 1:
                self._say(f"  Reloaded in {time.monotonic() - each.at:.2f} s.")
        self._tell()
        if not self._has_greeted:
            self._has_greeted = True
            self._say(self._with.greeting)
        if old is not None:
            self._leaving.append(old)
            old.process.stop(time.monotonic())

    def _bury(self) -> None:
        for each in self._processes():
            code = each.process.process.poll()
            if code is not None:
                self._listen_to(each)
                self._forget(each)
                self._bury_one(each, code)

    def _forget(self, each: _Started) -> None:
        if each.process.control in self._selector.get_map():
            self._selector.unregister(each.process.control)
        each.process.end()
        self._counts.end(each.process.slot)

    def _bury_one(self, each: _Started, code: int) -> None:
        if each in self._leaving:
            self._leaving.remove(each)
            return
        was_current = self._current is each
        if was_current:
            self._current = None
        else:
            self._coming = None
        if self._is_stopping:
            self._was_cut_off |= code == _INTERRUPTED
        elif each.shows_failure:
            self._say(f"  The process that shows what is wrong ended ({how_it_ended(code)}).")
            raise SystemExit(1)
        elif was_current:
            self._go_on_after_death(code)
        else:
            self._note_failure(each, code)

    def _note_failure(self, each: _Started, code: int) -> None:
        report = self._folder.take_report(each.number)
        self._add_to_watch(report)
        failure = None if report is None else report.failure
        self._fail(failure or LoadFailure(f"The process ended while it loaded the code ({how_it_ended(code)})."))

    def _fail(self, failure: LoadFailure) -> None:
        self._failure = failure
        self._say(f"  {failure.summary}")
        if self._current is None:
            self._say("  Nothing is served until that is mended; the next change is tried at once.")
            self._begin(shows_failure=True)
        else:
            self._say("  The code before is served until that is mended; the next change is tried at once.")
            self._tell()

    def _go_on_after_death(self, code: int) -> None:
        said = f"The process that served ended ({how_it_ended(code)})"
        self._deaths += 1
        if self._coming is not None:
            self._say(f"  {said} while another one comes up.")
        elif self._deaths < _MOST_DEATHS:
            self._say(f"  {said}; another one is started.")
            self._begin()
        else:
            self._fail(LoadFailure(f"{said}, {self._deaths} times in a row."))

    def _add_to_watch(self, report: LoadReport | None) -> None:
        self._watch.add(map(Path, () if report is None else report.paths))

    def _tell(self) -> None:
        loads = self._coming is not None and not self._coming.shows_failure
        state: Final = "loading" if loads else "failed" if self._failure is not None else "serving"
        status = ReloadStatus(state=state, generation=self._generation, changed=self._changed, failure=self._failure)
        self._folder.write_status(status)


def _shown(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    first = names[0]
    return f"{first} changed" if len(names) == 1 else f"{first} and {len(names) - 1} more changed"
