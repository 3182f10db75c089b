"""The clock of a server under test."""

from __future__ import annotations

import time


class Clock:
    """A clock that a test moves: what a server is given as its time, whole seconds UTC.

    Tokens, codes, grants, logins and limits end by it. What waits for an answer, such as a time-out or a ping, does not
    go by it.

    Args:
        at: where it stands still until it is moved, seconds UTC; None has it run with the clock of the machine.
    """

    def __init__(self, at: int | None = None) -> None:
        self._at = at
        self._advanced = 0

    def __call__(self) -> int:
        """Return the time, whole seconds UTC."""
        return (int(time.time()) if self._at is None else self._at) + self._advanced

    def __repr__(self) -> str:
        return f"<Clock at {self()}>"

    def advance(self, seconds: int) -> None:
        """Move it forward.

        Raises:
            ValueError: `seconds` is below 0.
        """
        if seconds < 0:
            raise ValueError("A clock is moved forward: seconds is 0 or more.")
        self._advanced += seconds
