"""Who shares what: limits and time-outs of the sessions with a server."""

from __future__ import annotations

from typing import Final, Literal, get_args

from gatepost.late_dataclass import dataclass

Share = Literal["session", "user", "all"]
"""Who shares one session with the server: nobody; what one user opens; everybody."""
SHARES: Final[tuple[str, ...]] = get_args(Share)


# Without slots, so that the defaults can be named elsewhere.
@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How sessions with a server are shared, and how many there may be."""

    share: Share = "session"
    is_serial: bool = False
    """Whether each session is asked one thing at a time."""
    start_seconds: float = 60.0
    """How long a server may take until it has answered `initialize`."""
    idle_seconds: float = 3600.0
    """How long a session lives without being used."""
    finish_seconds: float = 10.0
    """How long what is under way may take at the end."""
    most_sessions: int = 64
    """How many sessions there may be with the server: with a command, processes."""
    most_per_user: int = 16
    """How many of them may be one user's."""
    spares: int = 1
    """How many connections are begun before they are needed, where they are the same for all users."""
