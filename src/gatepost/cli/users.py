"""`gatepost users …`: local accounts from the terminal, on the same store that the server uses."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from gatepost.cli.open_store import with_store
from gatepost.cli.output import complain, moment, say, table

if TYPE_CHECKING:
    from gatepost.stores.contract.store import Store
    from gatepost.stores.contract.users import UserStore

Answer = TypeVar("Answer")


def add(options: argparse.Namespace) -> int:
    """Create an account. Exit code 1 when the name is taken, or name or password are refused."""
    from gatepost.identity.local_accounts import new_user  # noqa: PLC0415 - argon2 only where it is used

    try:
        password = _read_password(from_stdin=options.password_stdin)
        user = new_user(options.username, password, now=int(time.time()), random_bytes=secrets.token_bytes)
    except ValueError as error:
        complain(str(error))
        return 1
    if not _with_users(lambda users: users.add_user(user), event="user_added", username=user.username):
        complain(f"There is an account {user.username} already; gatepost users passwd sets its password.")
        return 1
    say(f"Created {user.username}.")
    return 0


def show(_options: argparse.Namespace) -> int:
    """Print all accounts."""
    users = _with_users(lambda users: users.list_users())
    if not users:
        say("There are no accounts yet. The server prints a set-up link at its start; gatepost users add works too.")
        return 0
    rows = [
        (user.username, user.subject, moment(user.created_at), "active" if user.disabled_at is None else "disabled")
        for user in users
    ]
    say(table(("USERNAME", "SUBJECT", "CREATED", "STATE"), rows))
    return 0


def disable(options: argparse.Namespace) -> int:
    """Disable an account and revoke what it allowed. Exit code 1 when there is none."""
    username = _canonical(options.username)
    now = int(time.time())
    if not _with_users(lambda users: users.disable_user(username, now=now), event="user_disabled", username=username):
        return _unknown(username)
    say(f"Disabled {username}; its sessions are over and its tokens are revoked.")
    return 0


def enable(options: argparse.Namespace) -> int:
    """Let a disabled account in again. Exit code 1 when there is none."""
    username = _canonical(options.username)
    if not _with_users(lambda users: users.enable_user(username), event="user_enabled", username=username):
        return _unknown(username)
    say(f"Enabled {username}; apps have to be allowed again.")
    return 0


def passwd(options: argparse.Namespace) -> int:
    """Set a password and end the account's browser sessions. Exit code 1 when there is none or it is refused."""
    from gatepost.identity.passwords import hash_password  # noqa: PLC0415 - argon2 only where it is used

    username = _canonical(options.username)
    try:
        password_hash = hash_password(_read_password(from_stdin=options.password_stdin))
    except ValueError as error:
        complain(str(error))
        return 1
    if not _with_users(
        lambda users: users.change_password(username, password_hash), event="password_changed", username=username
    ):
        return _unknown(username)
    say(f"Changed the password of {username}.")
    return 0


def _canonical(username: str) -> str:
    """Return the canonical form, or the text itself when it cannot be a username (it will not be found then)."""
    from gatepost.identity.usernames import canonical_username  # noqa: PLC0415 - with the rest of the work

    try:
        return canonical_username(username)
    except ValueError:
        return username


def _unknown(username: str) -> int:
    complain(f"There is no account {username}; see gatepost users list.")
    return 1


def _read_password(*, from_stdin: bool) -> str:
    """Return the password from one line of standard input, or ask twice at the terminal.

    Raises:
        ValueError: the two answers differ.
    """
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise ValueError("The two passwords differ; nothing was changed.")
    return password


def _with_users(
    operation: Callable[[UserStore], Awaitable[Answer]], *, event: str | None = None, username: str = ""
) -> Answer:
    """Run one operation on the accounts of the store that the settings name.

    When it says that something was done, `event` goes to the audit trail, about the account called `username`.
    """

    async def run(store: Store) -> Answer:
        answer = await operation(store.users)
        if event is not None and answer:
            await _record(store, event, username)
        return answer

    return with_store(run)


async def _record(store: Store, event: str, username: str) -> None:
    from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome, event_id  # noqa: PLC0415 - with the rest

    user = await store.users.find_user(username)
    now = int(time.time())
    record = AuditRecord(
        event_id=event_id(at=now, sequence=0, random=secrets.token_bytes(6)),
        at=now,
        event=AuditEvent(event),
        outcome=Outcome.OK,
        subject=None if user is None else user.subject,
        address="terminal",
    )
    await store.audit.append_events([record])
