"""The parent of workers: it listens, starts the processes that serve there, and sees to it that there are enough.

It serves nobody and loads nothing of what is served, so that it does not fall with a worker, and a worker that is
started later has the code and the settings of that moment. Workers are fresh interpreters that run the parent's own
command line (record 0077).
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from gatepost.configuration.settings import SettingsError
from gatepost.listening import WORKER_VARIABLE
from gatepost.listening.accepting import ConnectionCounts, new_counts
from gatepost.listening.listeners import (
    Address,
    Where,
    bound_address,
    given_listeners,
    own_listener,
    tell_service_manager,
)
from gatepost.listening.parent_signals import HeardSignals, hearing_signals
from gatepost.listening.worker import Handover
from gatepost.listening.worker_places import WorkerPlace, how_it_ended, is_settled
from gatepost.listening.worker_process import WorkerProcess

if TYPE_CHECKING:
    from gatepost.listening.worker_figures import Shown

_STEADY_SECONDS: Final = 30.0
"""A worker that has served for so long has nothing to do with the deaths before it."""
_LONGEST_WAIT_SECONDS: Final = 30.0
"""Between two starts of a worker that dies again and again."""
_MOST_FAILED_STARTS: Final = 5
"""In a row, when no other worker serves either."""
_DUMP_SECONDS: Final = 1.0
"""For a stuck worker to write down where it is."""
_PAUSED_SECONDS: Final = 5.0
"""Later than it wanted to wake, a parent has been stopped itself, perhaps with its workers."""
_INTERRUPTED: Final = 130

logger = logging.getLogger("gatepost.workers")


def serve_with_workers(
    where: Where, count: int, *, metrics: tuple[str, int] | None = None, command: Sequence[str] | None = None
) -> None:
    """Have `count` processes serve at one place until SIGTERM or SIGINT; after SIGINT there is a KeyboardInterrupt.

    Args:
        where: where to listen.
        count: how many workers.
        metrics: host and port of the Prometheus endpoint; None without one.
        command: what a worker runs; the command line of this process when None.

    Raises:
        SettingsError: it cannot be done in this thread or program, or the address cannot be listened on.
        SystemExit: the first worker does not come up, with its exit code; or later no worker does any more (1).
    """
    if threading.current_thread() is not threading.main_thread():
        raise SettingsError("Workers are told to stop by signals, which only the main thread hears: call run() there.")
    if command is None:
        if len(sys.orig_argv) < 2:  # noqa: PLR2004 - the interpreter alone
            raise SettingsError("Workers run the command line of the program anew, and this one has none.")
        command = [sys.executable, *sys.orig_argv[1:]]
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in given_listeners(where, os.environ)]
        address: Address = bound_address(listeners) if listeners else where.address
        if not listeners:
            listeners = [stack.enter_context(own_listener(where))]
            if where.uds is None:
                address = bound_address(listeners)
        shown: Shown | None = None
        if metrics is not None:
            from gatepost.listening.worker_figures import showing_figures  # noqa: PLC0415 - few servers have such an endpoint

            shown = stack.enter_context(showing_figures(metrics))
        signals = stack.enter_context(hearing_signals())
        parent = _Parent(command, listeners, address, count, signals=signals, shown=shown)
        stack.callback(parent.close)
        parent.run()


class _Parent:
    def __init__(
        self,
        command: Sequence[str],
        listeners: list[socket.socket],
        address: Address,
        count: int,
        *,
        signals: HeardSignals,
        shown: Shown | None,
    ) -> None:
        self._metrics = None if shown is None else shown[0]
        self._figures = None if shown is None else shown[1]
        self._command = command
        self._listeners = listeners
        self._address = address
        self._places = [WorkerPlace() for _ in range(count)]
        self._leaving: list[WorkerProcess] = []
        """Those whose place another one has taken."""
        self._slots = 2 * count + 1
        self._counts_file = new_counts(self._slots)
        self._counts = ConnectionCounts(self._counts_file, self._slots)
        self._to_replace: deque[WorkerPlace] = deque()
        self._replaced = 0
        self._is_replacing = self._replaces_again = False
        self._failed_starts = 0
        self._is_up = self._is_told = self._is_stopping = self._is_interrupted = self._was_cut_off = False
        self._signals = signals
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.socket, selectors.EVENT_READ)

    def obey(self, number: int) -> None:
        """Do what a signal says."""
        if number == signal.SIGHUP and self._signals.terminal_was_closed():
            self._stop()  # it is the system's, and ends other programs
        elif number == signal.SIGHUP:
            self._replace_all()
        elif number == signal.SIGTERM:
            self._stop()
        elif number == signal.SIGINT:
            self._interrupt()

    # --- the loop

    def run(self) -> None:
        """Keep workers until a signal says otherwise, then until the last has ended."""
        while True:
            self._tend(time.monotonic())
            if self._is_stopping and not self._processes():
                break
            wait = self._wait(time.monotonic())
            until = None if wait is None else time.monotonic() + wait
            for key, _events in self._selector.select(wait):
                process = key.data
                if process is not None:
                    self._listen_to(process)
            if until is not None and time.monotonic() > until + _PAUSED_SECONDS:
                for process in self._processes():
                    process.heard_at = time.monotonic()
            for number in self._signals.heard():
                self.obey(number)
            self._bury()
        if self._was_cut_off:
            raise SystemExit(_INTERRUPTED)
        if self._is_interrupted:
            raise KeyboardInterrupt

    def _listen_to(self, process: WorkerProcess) -> None:
        if process.read():
            self._note_ready(process)
        if process.is_silent and process.control in self._selector.get_map():
            self._selector.unregister(process.control)

    def close(self) -> None:
        """End what is left, which is nothing unless something went wrong."""
        for process in self._processes():
            process.process.terminate()
        for process in self._processes():
            process.end()
        self._selector.close()
        os.close(self._counts_file)

    def _processes(self) -> list[WorkerProcess]:
        held = [process for place in self._places for process in (place.current, place.coming) if process is not None]
        return [*held, *self._leaving]

    def _wait(self, now: float) -> float | None:
        """Return how long nothing has to be done unless something happens."""
        starts = [place.start_at for place in self._startable() if place.start_at is not None]
        times = [*starts, *(moment for process in self._processes() if (moment := process.due_at()) is not None)]
        return max(0.0, min(times) - now) if times else None

    def _startable(self) -> list[WorkerPlace]:
        if self._is_stopping:
            return []
        # The first one alone, until it serves: what is wrong is said once, and the store is made once.
        return self._places if self._is_up else self._places[:1]

    def _tend(self, now: float) -> None:
        """Do what is due."""
        if self._figures is not None:
            self._figures.tell(self._serving())
        for place in self._startable():
            if place.start_at is not None and now >= place.start_at:
                place.start_at = None
                place.current = self._start(now, place.cause)
                place.cause = "death"
        for process in self._processes():
            self._end_if_due(process, now)
        if not self._is_stopping:
            self._go_on_replacing(now)
            if self._is_up and not self._is_told and all(is_settled(place) for place in self._places):
                self._is_told = True
                tell_service_manager(os.environ)
                pids = [place.current.pid for place in self._places if place.current is not None]
                logger.info("%s workers serve, their parent is %s", len(pids), os.getpid(), extra={"pids": pids})

    def _serving(self) -> int:
        return sum(place.current is not None and place.current.is_ready for place in self._places)

    def _end_if_due(self, process: WorkerProcess, now: float) -> None:
        if process.kill_at is not None:
            if now >= process.kill_at:
                if not process.is_stuck:
                    logger.error("worker %s has not stopped in time and is ended", process.pid)
                process.kill()
        elif process.is_ready and process.timeout and now >= process.heard_at + process.timeout:
            logger.error(
                "worker %s is ended: its event loop has not turned for %s seconds (MCP_WORKER_TIMEOUT). "
                "Where its threads are:",
                process.pid,
                process.timeout,
            )
            process.is_stuck = True
            process.kill_at = now + _DUMP_SECONDS
            process.send(signal.SIGQUIT)

    def _start(self, now: float, cause: str) -> WorkerProcess:
        if self._figures is not None:
            self._figures.started(cause)
        slot = next(slot for slot in range(self._slots) if slot not in {each.slot for each in self._processes()})
        ours, theirs = socket.socketpair()
        with theirs:
            numbers = [listener.fileno() for listener in self._listeners]
            handover = Handover(
                control=theirs.fileno(),
                listeners=numbers,
                counts=self._counts_file,
                slots=self._slots,
                slot=slot,
                is_first=not self._is_up,
                address=self._address if isinstance(self._address, str) else list(self._address),
                metrics=None if self._metrics is None else self._metrics.fileno(),
                metrics_folder=None if self._figures is None else str(self._figures.folder),
            )
            shared = numbers if self._metrics is None else [*numbers, self._metrics.fileno()]
            environment = {**os.environ, WORKER_VARIABLE: handover.as_text()}
            environment.pop("NOTIFY_SOCKET", None)  # it is the parent's to say
            started = subprocess.Popen(  # noqa: S603 - the command line of this very process
                self._command,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), self._counts_file, *shared),
                # Ctrl-C and the end of the terminal are for the parent, which tells them.
                process_group=0,
            )
        process = WorkerProcess(started, ours, slot, now)
        self._selector.register(ours, selectors.EVENT_READ, process)
        return process

    def _note_ready(self, process: WorkerProcess) -> None:
        self._is_up = True
        self._failed_starts = 0
        place = next((place for place in self._places if place.coming is process), None)
        if place is not None and not self._is_stopping:
            old, place.current, place.coming, place.deaths = place.current, process, None, 0
            self._replaced += 1
            if old is not None:
                logger.info("worker %s takes the place of worker %s", process.pid, old.pid)
                self._leaving.append(old)
                old.stop(time.monotonic())

    # --- replacing

    def _replace_all(self) -> None:
        if self._is_stopping:
            return
        if self._is_replacing or not self._is_up:
            self._replaces_again = True
            return
        self._is_replacing = True
        logger.info("replacing the workers, one at a time")
        tell_service_manager(os.environ, b"RELOADING=1\nMONOTONIC_USEC=%d" % (time.monotonic_ns() // 1000))
        self._replaced = 0
        self._to_replace.extend(self._places)

    def _go_on_replacing(self, now: float) -> None:
        if self._leaving or any(place.coming is not None for place in self._places):
            return
        if self._is_replacing and not self._to_replace:
            logger.info("%s of %s workers were replaced", self._replaced, len(self._places))
            self._end_replacing()
        if self._replaces_again and self._is_up and not self._is_replacing:
            self._replaces_again = False
            self._replace_all()
        if self._to_replace:
            place = self._to_replace.popleft()
            place.start_at = None
            place.coming = self._start(now, "replacement")

    def _end_replacing(self) -> None:
        self._is_replacing = False
        self._to_replace.clear()
        tell_service_manager(os.environ)

    # --- ends

    def _stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            # The workers have it, too, and serve who waits in its queue; whoever comes after them is refused.
            for listener in self._listeners:
                listener.close()
            for process in self._processes():
                process.stop(time.monotonic())

    def _interrupt(self) -> None:
        if self._is_stopping:
            for process in self._processes():
                process.send(signal.SIGINT if process.is_ready else signal.SIGTERM)
        self._is_interrupted = True
        self._stop()

    def _bury(self) -> None:
        """Find out which processes have ended, and decide what follows."""
        for process in self._processes():
            code = process.process.poll()
            if code is not None:
                self._listen_to(process)
                if process.control in self._selector.get_map():
                    self._selector.unregister(process.control)
                process.control.close()
                self._counts.end(process.slot)
                self._bury_one(process, code)

    def _bury_one(self, process: WorkerProcess, code: int) -> None:
        if process in self._leaving:
            self._leaving.remove(process)
            return
        place = next(place for place in self._places if process in {place.current, place.coming})
        was_coming = place.coming is process
        if was_coming:
            place.coming = None
        else:
            place.current = None
        if self._is_stopping:
            self._was_cut_off |= code == _INTERRUPTED
            return
        if not self._is_up:
            if code <= 0:  # otherwise it has said why
                logger.error("the first worker ended at its start (%s)", how_it_ended(code))
            raise SystemExit(code if code > 0 else 1)
        if was_coming:
            self._keep_the_old(place, process, code)
        else:
            self._plan_start(place, process, code)
        if not process.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS and not self._serving():
                logger.error("no worker comes up any more: giving up after %s starts", self._failed_starts)
                raise SystemExit(1)

    def _keep_the_old(self, place: WorkerPlace, process: WorkerProcess, code: int) -> None:
        logger.error(
            "the new worker %s did not come up (%s): those that have not been replaced go on with the code and "
            "settings that they have; %s of %s were replaced",
            process.pid,
            how_it_ended(code),
            self._replaced,
            len(self._places),
        )
        self._end_replacing()
        if place.current is None:
            self._plan_start(place, process, code)

    def _plan_start(self, place: WorkerPlace, process: WorkerProcess, code: int) -> None:
        now = time.monotonic()
        is_steady = process.ready_at is not None and now - process.ready_at >= _STEADY_SECONDS
        place.deaths = 0 if is_steady else place.deaths + 1
        if place.coming is not None:
            logger.error(
                "worker %s ended (%s) while another one comes up in its place", process.pid, how_it_ended(code)
            )
            return
        wait = 0.0 if place.deaths <= 1 and process.is_ready else min(_LONGEST_WAIT_SECONDS, 2.0 ** (place.deaths - 1))
        place.start_at = now + wait
        when = f"in {wait:g} seconds" if wait else "at once"
        logger.error("worker %s ended (%s); another one is started %s", process.pid, how_it_ended(code), when)
