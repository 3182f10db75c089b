"""How many connections fit under the system's limit of open files.

Many systems let a process open 1,024 files unless it asks for more, and every connection is one. A server that reaches
the limit can accept nobody, not even to say so.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Final, NamedTuple

_OTHERS: Final = 256
"""Files for everything that is no connection: the store, requests to others, what tools open."""


def connections_that_fit(wanted: int) -> int:
    """Have the system allow as many open files as `wanted` connections need, and return how many connections fit.

    Only the soft limit is raised, as far as the hard one goes (setrlimit, POSIX.1). Fewer than `wanted` fit where that
    is not enough, but at least a half of what is allowed.
    """
    limits = _limits()
    if limits is None or limits.soft >= wanted + _OTHERS:
        return wanted
    import resource  # noqa: PLC0415 - not on Windows, where there is no such limit

    soft, raised = limits.soft, min(wanted + _OTHERS, limits.hard)
    # Some systems allow less than their hard limit says.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        soft = raised
    return _that_fit(wanted, soft)


def connections_that_would_fit(wanted: int) -> int:
    """Return what `connections_that_fit` would, and change no limit."""
    limits = _limits()
    return wanted if limits is None else _that_fit(wanted, max(limits.soft, min(wanted + _OTHERS, limits.hard)))


class _Limits(NamedTuple):
    soft: int
    hard: int


def _limits() -> _Limits | None:
    """Return how many files may be open; None where the system has no such limit."""
    try:
        import resource  # noqa: PLC0415 - not on Windows, where there is no such limit
    except ImportError:  # pragma: no cover - seen on Windows alone
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = sys.maxsize
    return _Limits(
        endless if soft == resource.RLIM_INFINITY else soft, endless if hard == resource.RLIM_INFINITY else hard
    )


def _that_fit(wanted: int, files: int) -> int:
    return min(wanted, max(files - _OTHERS, files // 2))
