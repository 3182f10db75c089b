"""A worker: one of several processes that serve at the same listeners, and its line to the parent that started it.

The line is a pair of sockets. Upwards go `ready` and a line end every few seconds for as long as the event loop turns;
nothing comes down, and its end means that the parent has died: then the worker stops, or it would hold the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatepost.late_dataclass import dataclass
from gatepost.listening import WORKER_VARIABLE
from gatepost.listening.accepting import ConnectionCounts, SharedListener
from gatepost.listening.listeners import Address

if TYPE_CHECKING:
    from gatepost.observability.metrics_listener import MetricsPlace

SAYS_READY: Final = b"ready"
_STOP_MARGIN_SECONDS: Final = 5
"""What a stop may take beside the requests that are under way: idle clients, cleaning up, closing."""
_BEAT_SECONDS: Final = 5.0
_BEATS: Final = 4
"""So many fit the time after which a worker counts as stuck."""
_STANDARD_ERROR: Final = 2


def longest_stop(shutdown_seconds: int) -> int:
    """Return after how many seconds a process that was told to stop is killed."""
    return shutdown_seconds + _STOP_MARGIN_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a worker is given by its parent. Numbers of descriptors are those of both."""

    control: int
    """Of the worker's end of the line."""
    listeners: list[int]
    counts: int
    """Of what `new_counts` made."""
    slots: int
    slot: int
    """The worker's own among them."""
    is_first: bool
    """Whether it speaks for all: the banner and the set-up link are its to show."""
    address: list[str | int] | str
    """What is listened on, see `Address`."""
    is_alone: bool = False
    """Whether it is the only one that serves, but for one whose place it takes: it may keep things to itself."""
    metrics: int | None = None
    """Of the listener of the Prometheus endpoint; None without one."""
    metrics_folder: str | None = None
    """Where workers find each other's figures."""

    def as_text(self) -> str:
        """Return the value of the environment variable."""
        return json.dumps(asdict(self))


def this_worker(environment: MutableMapping[str, str]) -> Worker | None:
    """Return this process as a worker; None where it is none.

    The variable is removed, so that no child takes it for its own.
    """
    text = environment.pop(WORKER_VARIABLE, None)
    return None if text is None else Worker(Handover(**json.loads(text)))


class Worker:
    """This process as a worker.

    From now on it stops when the parent dies, and writes to standard error where each of its threads is when it gets
    SIGQUIT, whatever they do.
    """

    def __init__(self, handover: Handover) -> None:
        self.is_first, self.is_alone = handover.is_first, handover.is_alone
        address = handover.address
        self.address: Address = address if isinstance(address, str) else (str(address[0]), int(address[1]))
        self.listeners = [_taken_over(number) for number in handover.listeners]
        self.has_begun = False
        """Whether requests are served, or have been."""
        self.counts, self.slot = ConnectionCounts(handover.counts, handover.slots), handover.slot
        os.close(handover.counts)
        self.metrics: MetricsPlace | None = None
        if handover.metrics is not None and handover.metrics_folder is not None:
            self.metrics = _metrics_place(handover.metrics, Path(handover.metrics_folder), handover.slot)
        self._control = _taken_over(handover.control)
        self._longest_stop = longest_stop(0)
        faulthandler.register(signal.SIGQUIT, file=_STANDARD_ERROR)
        # It is the parent's. A handler that does nothing, because what is ignored would be so in programs of tools.
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
        threading.Thread(target=self._outlive_nobody, name="gatepost-parent", daemon=True).start()

    def accept_at(self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> SharedListener:
        """Accept connections at one of the listeners, which the running event loop serves from now on."""
        return SharedListener(listener, counts=self.counts, slot=self.slot, make_protocol=make_protocol)

    def count_out(self) -> None:
        """Count a connection of this worker no more."""
        self.counts.add(self.slot, -1)

    def begin(self, shutdown_seconds: int, timeout: int) -> None:
        """Tell the parent that requests are served, and from now on that the running event loop turns.

        Args:
            shutdown_seconds: how long open requests may take at the end.
            timeout: after how many seconds without a turn the parent ends this process; 0 for never.
        """
        self._longest_stop = longest_stop(shutdown_seconds)
        self.counts.begin(self.slot)
        self.has_begun = True
        self._tell(b"%s %d %d\n" % (SAYS_READY, self._longest_stop, timeout))
        if timeout:
            self._beat(asyncio.get_running_loop(), min(_BEAT_SECONDS, timeout / _BEATS))

    def _beat(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._tell(b"\n")
        loop.call_later(seconds, self._beat, loop, seconds)

    def _tell(self, message: bytes) -> None:
        # A parent that reads nothing for long has a hundred of them; it needs no more.
        with contextlib.suppress(OSError):
            self._control.send(message, socket.MSG_DONTWAIT)

    def _outlive_nobody(self) -> None:
        with contextlib.suppress(OSError):
            while self._control.recv(1):
                pass
        # As the parent would. A thread does it, because the event loop may be stuck.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._longest_stop)
        os.kill(os.getpid(), signal.SIGKILL)


def _metrics_place(number: int, folder: Path, slot: int) -> MetricsPlace:
    from gatepost.observability.metrics_listener import MetricsPlace  # noqa: PLC0415 - few servers have such an endpoint

    return MetricsPlace(_taken_over(number), folder, str(slot))


def _taken_over(number: int) -> socket.socket:
    taken = socket.socket(fileno=number)
    taken.set_inheritable(False)
    return taken
