"""Which of asyncpg's errors mean that the store cannot answer, in words for people and without data.

By SQLSTATE (PostgreSQL appendix A). A code that is missing here (a constraint, bad SQL) is a mistake in our own code
and stays what it is, because a 503 would ask clients to try again what can never work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatepost.stores.contract.errors import StoreBusy, StoreMisconfigured, StoreUnavailable

# Each of these has ended the transaction, of which nothing has happened: another attempt may succeed.
_AGAIN: Final = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_NOT_BEGUN: Final[Mapping[str, str]] = {
    "55P03": "another transaction has locked it for too long",
    "53300": "it has too many connections",
    "57P03": "it is starting or stopping",
    "57P01": "it is being stopped",
    "57P02": "it has crashed and comes back",
    "25006": "it is read-only, as a standby is",
}
_SENTENCES: Final[Mapping[str, str]] = {
    "53100": "the disk is full",
    "53200": "it is out of memory",
    "57014": "the statement took too long",
    "25P03": "the transaction took too long",
    "58030": "the disk failed to read or write",
    "XX001": "its data is damaged; restore a backup",
    "XX002": "an index is damaged; rebuild it",
}
_WRONG: Final[Mapping[str, str]] = {
    "28000": "it does not let this user in",
    "28P01": "the password is wrong",
    "3D000": "there is no database of this name",
    "42501": "the user lacks a privilege",
}
_CONNECTION: Final = "08"  # connection_exception, a class of codes
_STANDBY: Final = frozenset({"25006", "57P01", "57P02", "57P03"})


def state_of(error: BaseException) -> str:
    """Return the SQLSTATE; "08000" where the connection is gone or could not be made, "" for no error of a database."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return state
    # asyncpg's InterfaceError is what it says itself, such as that the connection was closed meanwhile.
    is_gone = isinstance(error, (OSError, TimeoutError)) or type(error).__name__ in {
        "InterfaceError",
        "InternalClientError",
    }
    return "08000" if is_gone else ""


def is_worth_another_attempt(error: BaseException) -> bool:
    """Say whether another transaction stood in the way."""
    return state_of(error) in _AGAIN


def leaves_bad_connections(error: BaseException) -> bool:
    """Say whether connections to the same server are of no use any more: it stops, or is the standby now."""
    return state_of(error) in _STANDBY


def explained(error: Exception, name: str, *, has_begun_to_commit: bool = False) -> Exception:
    """Return the error of the contract that `error` means, with `error` as its cause; any other error as it is.

    Args:
        error: what was raised.
        name: where the database lies, for people.
        has_begun_to_commit: whether COMMIT was under way, so that nobody knows whether it has happened.
    """
    state = state_of(error)
    is_connection = state.startswith(_CONNECTION)
    said = _NOT_BEGUN.get(state) or _SENTENCES.get(state) or ("it cannot be reached" if is_connection else None)
    if state in _AGAIN:
        said = "other transactions stood in the way for too long"
    if said is None:
        return error
    is_known = not has_begun_to_commit and (state in _AGAIN or state in _NOT_BEGUN or is_connection)
    fault = (StoreBusy if is_known else StoreUnavailable)(f"the store {name} cannot answer: {said} ({state})")
    fault.__cause__ = error
    return fault


def explained_at_open(error: Exception, name: str) -> Exception:
    """Return what keeps a store from being opened."""
    state = state_of(error)
    if state in _WRONG:
        fault: Exception = StoreMisconfigured(f"the store {name} cannot be opened: {_WRONG[state]} ({state})")
    elif isinstance(error, ValueError) and not state:
        fault = StoreMisconfigured(f"the store's URL cannot be used: {type(error).__name__}")
    else:
        fault = explained(error, name)
    if fault is not error:
        fault.__cause__ = error
    return fault
