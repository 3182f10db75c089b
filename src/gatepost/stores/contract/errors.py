"""What can go wrong in a store. None of these says that a credential is bad."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all store faults."""


class StoreUnavailable(StoreError):
    """The store cannot answer now (down, full, read-only, locked too long): answer 503, never 401.

    Nothing that the failed operation was to write has been written, or it is not known to be: the caller may retry.
    """


class StoreMisconfigured(StoreError):
    """The store's URL, schema version or permissions are wrong: refuse to start and say what to set."""
