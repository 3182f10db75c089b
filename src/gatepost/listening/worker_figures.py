"""What the parent of workers has to say at the Prometheus endpoint: how many serve, and how many it has started.

The parent serves nobody, so it writes a file, which whichever worker is scraped shows beside the workers' own figures.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from gatepost.configuration.settings import SettingsError
from gatepost.observability.metrics_listener import PARENT_FILE, listen_at, remove_folder
from gatepost.telemetry.catalogue import WORKER_STARTS, WORKERS, Metric

CAUSES: Final = ("start", "replacement", "death")


class WorkerFigures:
    """The figures of a parent; `folder` is where its workers find each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._starts = dict.fromkeys(CAUSES, 0)
        self._said = b""

    def started(self, cause: str) -> None:
        """Count a worker that was started."""
        self._starts[cause] += 1

    def tell(self, serving: int) -> None:
        """Write the figures down if they are others than before."""
        starts = [
            f'{WORKER_STARTS.prometheus_name}{{cause="{cause}"}} {count}' for cause, count in self._starts.items()
        ]
        lines = [
            *_head(WORKERS, "gauge"),
            f"{WORKERS.prometheus_name} {serving}",
            *_head(WORKER_STARTS, "counter"),
            *starts,
        ]
        text = "".join(f"{line}\n" for line in lines).encode()
        if text == self._said:
            return
        # Figures are not worth the parent's end: a full disk must not take the workers along.
        with contextlib.suppress(OSError):
            beside = self.folder / f"{PARENT_FILE}.new"
            beside.write_bytes(text)
            beside.replace(self.folder / PARENT_FILE)
            self._said = text


def _head(metric: Metric, kind: str) -> tuple[str, str]:
    name = metric.prometheus_name
    return f"# HELP {name} {metric.description}", f"# TYPE {name} {kind}"


@contextlib.contextmanager
def worker_figures() -> Iterator[WorkerFigures]:
    """Keep the figures of a parent in a folder that only this user may read, for as long as the context lasts."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-metrics-"))
    try:
        yield WorkerFigures(folder)
    finally:
        remove_folder(folder)


Shown: TypeAlias = tuple[socket.socket, WorkerFigures]
"""What scrapes come to, which the workers answer, and what the parent says there."""


@contextlib.contextmanager
def showing_figures(address: tuple[str, int]) -> Iterator[Shown]:
    """Listen for scrapes for as long as the context lasts; raises SettingsError when that cannot be."""
    try:
        listener = listen_at(address)
    except OSError as error:
        raise SettingsError(f"MCP_METRICS_LISTEN cannot be listened on: {error.strerror}.") from None
    with listener, worker_figures() as figures:
        yield listener, figures
