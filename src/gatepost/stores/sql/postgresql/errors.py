"""Which of asyncpg's errors mean that the store cannot answer, in words for people and without data.

By SQLSTATE (PostgreSQL appendix A). A code that is missing here (a constraint, bad SQL) is a mistake in our own code
and stays what it is, because a 503 would ask clients to try again what can never work.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from gatepost.stores.contract.errors import StoreBusy, StoreConnectionsTaken, StoreMisconfigured, StoreUnavailable
from gatepost.stores.sql.postgresql.connecting import PasswordUnreadable

# Each of these has ended the transaction, of which nothing has happened: another attempt may succeed.
_AGAIN: Final = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_CONSTRAINTS: Final = frozenset({"23503", "23505"})  # foreign_key_violation, unique_violation
_LOST_STATEMENT: Final = frozenset({"26000", "42P05"})  # invalid_sql_statement_name, duplicate_prepared_statement
_CHANGED_TABLES: Final = frozenset({"InvalidCachedStatementError", "OutdatedSchemaCacheError"})
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
_REFUSED_OPTIONS: Final[Mapping[str, str]] = {
    "unrecognized configuration parameter": "the URL has an option that it does not know",
    # PgBouncer
    "unsupported startup parameter": "the pooler in front of it takes no settings in the URL; give them to the role "
    "(docs/postgresql.md)",
}
"""By what the server says, which differs from version to version in its code."""
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
        "TargetServerAttributeNotMatched",
    }
    return "08000" if is_gone else ""


def is_worth_another_attempt(error: BaseException) -> bool:
    """Say whether another transaction stood in the way, or the tables changed since the statement was prepared."""
    return state_of(error) in _AGAIN or has_lost_statement(error) or type(error).__name__ in _CHANGED_TABLES


def stood_in_the_way(error: BaseException) -> bool:
    """Say whether another transaction did: the two cannot both commit, or a key is there already or not any more.

    Operations look for keys first. So the other one has committed meanwhile, which PostgreSQL may find at the
    constraint before it finds that the two cannot be serialized (PostgreSQL section 13.5): another attempt sees it. If
    that meets the same (`broken_constraint`), the mistake is ours, and stays what it is.
    """
    return state_of(error) in _AGAIN | _CONSTRAINTS


def broken_constraint(error: BaseException) -> tuple[str | None, ...] | None:
    """Return which constraint was broken and by which key; None for any other error."""
    if state_of(error) not in _CONSTRAINTS:
        return None
    return tuple(getattr(error, name, None) for name in ("table_name", "constraint_name", "detail"))


def has_lost_statement(error: BaseException) -> bool:
    """Say whether what was prepared on the connection is not there: a pooler has put another in its place."""
    return state_of(error) in _LOST_STATEMENT


def leaves_bad_connections(error: BaseException) -> bool:
    """Say whether other connections to the same server may be of no use either.

    It stops, or is the standby now; or one has died, as all of them do when the machine or the way there is gone. Each
    would cost an operation an attempt to find that out.
    """
    state = state_of(error)
    return state in _STANDBY or (state.startswith(_CONNECTION) and not isinstance(error, TimeoutError))


def is_undone(error: BaseException) -> bool:
    """Say whether the server itself says that the statement, which was a transaction by itself, has not happened."""
    return is_worth_another_attempt(error) or state_of(error) in {"55P03", "25006"}


def explained(error: Exception, name: str, *, has_begun_to_commit: bool = False) -> Exception:
    """Return the error of the contract that `error` means, with `error` as its cause; any other error as it is.

    Args:
        error: what was raised.
        name: where the database lies, for people.
        has_begun_to_commit: whether COMMIT was under way, so that nobody knows whether it has happened.
    """
    state = state_of(error)
    is_connection = state.startswith(_CONNECTION)
    said = _NOT_BEGUN.get(state) or _SENTENCES.get(state) or (_reason_of(error) if is_connection else None)
    if is_worth_another_attempt(error):
        said = "other transactions stood in the way for too long"
    if said is None:
        return error
    is_known = not has_begun_to_commit and (is_worth_another_attempt(error) or state in _NOT_BEGUN or is_connection)
    fault = (StoreBusy if is_known else StoreUnavailable)(f"the store {name} cannot answer: {said} ({state})")
    fault.__cause__ = error
    return fault


def explained_connecting(error: Exception, name: str) -> Exception:
    """Return what keeps an open store from having a connection; nothing has happened, and somebody may mend it."""
    state = state_of(error)
    if state not in _WRONG:
        return explained(error, name)
    return StoreBusy(f"the store {name} cannot answer: {_WRONG[state]} ({state})")


def no_connection(name: str, most: int) -> StoreBusy:
    """Return what it means that all of a process's connections are in use."""
    return StoreConnectionsTaken(
        f"the store {name} cannot answer: all {most} connections of this process are in use (MCP_STORAGE_CONNECTIONS)"
    )


def no_answer(name: str, seconds: float) -> StoreBusy:
    """Return what it means that an operation was given up before its commit."""
    return StoreBusy(f"the store {name} cannot answer: no answer came within {seconds:g} seconds")


def no_turn(name: str) -> StoreBusy:
    """Return what it means that too many operations of one kind stood in each other's way."""
    return StoreBusy(f"the store {name} cannot answer: too many wait for their turn to do the same")


def explained_at_open(error: Exception, name: str) -> Exception:
    """Return what keeps a store from being opened."""
    state = state_of(error)
    wrong = _WRONG.get(state)
    if refused := next((why for said, why in _REFUSED_OPTIONS.items() if said in str(error)), None):
        wrong = refused
    elif isinstance(error, (ssl.SSLError, PasswordUnreadable)) or _refuses_tls(error):
        wrong = _reason_of(error)
    if wrong is not None:
        fault: Exception = StoreMisconfigured(f"the store {name} cannot be opened: {wrong} ({state})")
    elif isinstance(error, ValueError) and not state:
        fault = StoreMisconfigured(f"the store's URL cannot be used: {type(error).__name__}")
    else:
        fault = explained(error, name)
    if fault is not error:
        fault.__cause__ = error
    return fault


def _reason_of(error: Exception) -> str:
    """Return why there is no connection, as far as that is known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not show that it is the one that is meant: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS with it fails: {error.reason}"
    if isinstance(error, PasswordUnreadable):
        return str(error)
    if _refuses_tls(error):
        return "it speaks no TLS, which the URL's sslmode demands"
    if type(error).__name__ == "TargetServerAttributeNotMatched":
        return "no host is what target_session_attrs asks for, such as one that can be written"
    return "it does not answer" if isinstance(error, TimeoutError) else "it cannot be reached"


def _refuses_tls(error: Exception) -> bool:
    return isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error)
