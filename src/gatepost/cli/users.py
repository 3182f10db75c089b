"""`gatepost users …`: the accounts, from the terminal, on the same store that the server uses."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gatepost.cli.open_store import with_store
from gatepost.cli.output import complain, moment, say, table

if TYPE_CHECKING:
    from gatepost.stores.contract.store import Store
    from gatepost.stores.contract.users import User, UserStore


def add(options: argparse.Namespace) -> int:
    """Create an account. Exit code 1 when the name is taken, or name or password are refused."""
    from gatepost.identity.local_accounts import new_user  # noqa: PLC0415 - argon2 only where it is used

    try:
        password = _read_password(from_stdin=options.password_stdin)
        user = new_user(options.username, password, now=int(time.time()), random_bytes=secrets.token_bytes)
    except ValueError as error:
        complain(str(error))
        return 1

    async def add_user(store: Store) -> bool:
        if not await store.users.add_user(user):
            return False
        await _record(store, "user_added", user.subject)
        return True

    if not with_store(add_user):
        complain(f"There is an account {user.username} already; gatepost users passwd sets its password.")
        return 1
    say(f"Created {user.username}.")
    return 0


def show(_options: argparse.Namespace) -> int:
    """Print all accounts."""
    users = with_store(lambda store: store.users.list_users())
    if not users:
        say("There are no accounts yet. The server prints a set-up link at its start; gatepost users add works too.")
        return 0
    rows = [
        (
            user.name,
            user.subject,
            user.issuer,
            moment(user.created_at),
            "active" if user.disabled_at is None else "disabled",
        )
        for user in users
    ]
    say(table(("NAME", "SUBJECT", "ISSUER", "CREATED", "STATE"), rows))
    return 0


def disable(options: argparse.Namespace) -> int:
    """Disable an account and revoke what it allowed. Exit code 1 when there is none."""
    now = int(time.time())
    user = _change(options.username, lambda users, user: users.disable_user(user.subject, now=now), "user_disabled")
    if user is None:
        return 1
    say(f"Disabled {user.name}; its sessions are over and its tokens are revoked.")
    return 0


def enable(options: argparse.Namespace) -> int:
    """Let a disabled account in again. Exit code 1 when there is none."""
    user = _change(options.username, lambda users, user: users.enable_user(user.subject), "user_enabled")
    if user is None:
        return 1
    say(f"Enabled {user.name}; apps have to be allowed again.")
    return 0


def passwd(options: argparse.Namespace) -> int:
    """Set a password and end the account's browser sessions. Exit code 1 when there is none or it is refused."""
    from gatepost.identity.passwords import hash_password  # noqa: PLC0415 - argon2 only where it is used

    try:
        password_hash = hash_password(_read_password(from_stdin=options.password_stdin))
    except ValueError as error:
        complain(str(error))
        return 1

    async def change(users: UserStore, user: User) -> bool:
        return user.username is not None and await users.change_password(user.username, password_hash)

    user = _change(options.username, change, "password_changed")
    if user is None:
        return 1
    say(f"Changed the password of {user.name}.")
    return 0


def _change(name: str, operation: Callable[[UserStore, User], Awaitable[bool]], event: str) -> User | None:
    """Do something to the account that is called `name`, or has it for a subject; complain if that cannot be.

    What was done goes to the audit trail.
    """

    async def run(store: Store) -> User | None:
        user = await store.users.find_user(_canonical(name)) or await store.users.find_user_by_subject(name)
        if user is None:
            complain(f"There is no account {name}; see gatepost users list.")
        elif not await operation(store.users, user):
            complain(f"{user.name} logs in with {user.issuer} and has no password here.")
        else:
            await _record(store, event, user.subject)
            return user
        return None

    return with_store(run)


def _canonical(username: str) -> str:
    """Return the canonical form, or the text itself when it cannot be a username (it will not be found then)."""
    from gatepost.identity.usernames import canonical_username  # noqa: PLC0415 - with the rest of the work

    try:
        return canonical_username(username)
    except ValueError:
        return username


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


async def _record(store: Store, event: str, subject: str) -> None:
    from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome, event_id  # noqa: PLC0415 - with the rest

    now = int(time.time())
    record = AuditRecord(
        event_id=event_id(at=now, sequence=0, random=secrets.token_bytes(6)),
        at=now,
        event=AuditEvent(event),
        outcome=Outcome.OK,
        subject=subject,
        address="terminal",
    )
    await store.audit.append_events([record])
