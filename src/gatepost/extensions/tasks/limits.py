"""How much there may be of what, and for how long."""

from __future__ import annotations

from typing import Final

from gatepost.late_dataclass import dataclass

KEPT_SECONDS: Final = 300
"""How long a result is kept at least, however late it came."""
MOST_RUNNING: Final = 10_000
"""Tasks that run in one process, of one endpoint."""
MOST_RUNNING_OF_PERSON: Final = 100
MOST_OF_PERSON: Final = 1_000
"""Tasks that are kept, running or not."""
MOST_OF_EVERYBODY: Final = 10_000
"""Tasks that are kept where nobody has a token; they count together."""
LARGEST_RESULT: Final = 4 * 1024 * 1024
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """How much there may be of what."""

    running: int = MOST_RUNNING
    running_of_person: int = MOST_RUNNING_OF_PERSON
    of_person: int = MOST_OF_PERSON
    of_everybody: int = MOST_OF_EVERYBODY
    result_bytes: int = LARGEST_RESULT


DEFAULT_LIMITS: Final = TaskLimits()
