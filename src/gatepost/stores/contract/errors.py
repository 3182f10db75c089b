"""What can go wrong in a store. None of these says that a credential is bad."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all store faults."""


class StoreUnavailable(StoreError):
    """The store cannot answer now (down, full, read-only, locked too long): answer 503, never 401.

    Nothing that the failed operation was to write has been written, or it is not known to be: the caller may retry.
    """


class StoreBusy(StoreUnavailable):
    """The store could not begin, because another process holds its lock.

    Nothing of the operation has happened, which is known, and in a moment it may succeed: `busy.wait_out` repeats it.
    """


class StoreOverloaded(StoreBusy):
    """The store has not begun, because too many operations wait. More may wait only where somebody counts them."""


class StoreConnectionsTaken(StoreBusy):
    """The store has not begun, because all connections that this process may have are in use."""


class StoreMisconfigured(StoreError):
    """The store's URL, schema version or permissions are wrong: refuse to start and say what to set."""
