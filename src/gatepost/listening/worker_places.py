"""The workers that there are to be: what the parent knows of each place, whichever process has it."""

from __future__ import annotations

import signal

from gatepost.listening.worker_process import WorkerProcess


class WorkerPlace:
    """One of the workers that there are to be, whichever process it is now."""

    def __init__(self) -> None:
        self.current: WorkerProcess | None = None
        self.coming: WorkerProcess | None = None
        """Takes the place of the current one as soon as it is ready."""
        self.deaths = 0
        """In a row."""
        self.start_at: float | None = 0.0
        """When the next one is started; None while there is one."""
        self.cause = "start"
        """Of that start, for figures."""


def is_settled(place: WorkerPlace) -> bool:
    """Say whether the first worker of a place has come up, or failed to."""
    return place.deaths > 0 or (place.current is not None and place.current.is_ready)


def how_it_ended(code: int) -> str:
    """Say how a process ended, by its code as `subprocess` gives it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
