"""How many connections fit under the system's limit of open files.

Many systems let a process open 1,024 files unless it asks for more, and every connection is one. A server that reaches
the limit can accept nobody, not even to say so.
"""

from __future__ import annotations

import contextlib
from typing import Final

_OTHERS: Final = 256
"""Files for everything that is no connection: the store, requests to others, what tools open."""


def connections_that_fit(wanted: int) -> int:
    """Have the system allow as many open files as `wanted` connections need, and return how many connections fit.

    Only the soft limit is raised, as far as the hard one goes (setrlimit, POSIX.1). Fewer than `wanted` fit where that
    is not enough, but at least a half of what is allowed.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows, where there is no such limit
    except ImportError:  # pragma: no cover - seen on Windows alone
        return wanted
    needed = wanted + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    # Some systems allow less than their hard limit says.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return min(wanted, max(soft - _OTHERS, soft // 2))
