"""`gatepost users …`: the accounts, from the terminal, on the same store that the server uses."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import replace

from gatepost.cli.accounts import find_account, find_person
from gatepost.cli.open_store import audit, store_read, with_store
from gatepost.cli.terminal import Actions, CommandRefused, add_search, complain, moment, say, say_list
from gatepost.cli.user_logins import add_login_actions
from gatepost.cli.user_passkeys import add_action as add_passkeys
from gatepost.cli.user_show import add_action as add_show
from gatepost.configuration.deployment import resolve_deployment
from gatepost.configuration.settings import load_settings
from gatepost.identity.account_links import HOURS, MOST_HOURS, AccountLinkOffers
from gatepost.identity.roles import ROLE_TAKES, is_role_name
from gatepost.identity.usernames import canonical_username
from gatepost.oauth.audit import AuditEvent
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User, UserStore

_MOST = 1000
"""People that a search finds; more is no use to a person."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `users`."""
    actions = Actions(parser)
    for name, run, words in (
        ("add", add, "create an account"),
        ("disable", disable, "shut an account out and revoke what it allowed"),
        ("enable", enable, "let a disabled account in again"),
        ("end-sessions", end_sessions, "log a person out of every browser"),
        ("passwd", passwd, "set an account's password"),
    ):
        action = actions.add(name, run, words)
        what = "the name of the new account" if name == "add" else "the account, or its subject"
        action.add_argument("username", metavar="USERNAME", help=what)
        if name in {"add", "passwd"}:
            action.add_argument(
                "--password-stdin", action="store_true", help="read the password from standard input instead of asking"
            )
        if name == "add":
            action.add_argument(
                "--role", metavar="ROLE", action="append", default=[], type=_role, help="a role to give to it"
            )
    action = actions.add("role", role, "give somebody a role, such as admin, or take it away")
    action.add_argument("username", metavar="NAME", help="the account, or the subject of whoever logs in elsewhere")
    action.add_argument("change", choices=("add", "remove"), help="what to do")
    action.add_argument("role", metavar="ROLE", type=_role, help=ROLE_TAKES)
    action = actions.add(
        "second-step", second_step, "turn an account's second step off, for somebody who lost app and recovery codes"
    )
    action.add_argument("username", metavar="NAME", help="the account, or its subject")
    action.add_argument("change", choices=("off",), help="what to do")
    for name, run, words in (
        ("invite", invite, "print a link with which one person makes an account"),
        ("reset", reset, "print a link with which one person sets the password of their account"),
    ):
        action = actions.add(
            name, run, words, description=f"{words[0].upper()}{words[1:]}. It works once, for a while."
        )
        if name == "invite":
            action.add_argument("--name", metavar="NAME", help="what the account will be called (default: they choose)")
        else:
            action.add_argument("username", metavar="NAME", help="the account")
        action.add_argument(
            "--hours",
            type=int,
            default=HOURS,
            choices=range(1, MOST_HOURS + 1),
            metavar="HOURS",
            help="for how long (1 to 168; 24)",
        )
    add_passkeys(actions)
    add_search(actions.add_list(show, "show all accounts"))
    add_show(actions)
    add_login_actions(actions)


def add(options: argparse.Namespace) -> None:
    """Create an account, unless the name is taken, or name or password are refused."""
    from gatepost.identity.local_accounts import new_user  # noqa: PLC0415 - argon2 only where it is used

    try:
        canonical_username(options.username)
        password = _read_password(from_stdin=options.password_stdin)
        user = new_user(options.username, password, now=int(time.time()), random_bytes=secrets.token_bytes)
        user = replace(user, roles=tuple(sorted(set(options.role))))
    except ValueError as error:
        raise CommandRefused(str(error)) from None

    async def add_user(store: Store) -> None:
        if not await store.users.add_user(user):
            raise CommandRefused(
                f"There is an account {user.username} already; gatepost users passwd sets its password."
            )
        await audit(store, AuditEvent.USER_ADDED, subject=user.subject)

    with_store(add_user, may_create=True)
    say(f"Created {user.username}.")


def show(options: argparse.Namespace) -> None:
    """Print accounts."""
    found = with_store(lambda store: _find(store, options.search))
    say_list(
        [
            {
                "name": user.name,
                "subject": user.subject,
                "issuer": user.issuer,
                "email": user.profile.email,
                "groups": [*user.profile.groups],
                "second_step": "on" if user.second_step else None,
                "created": moment(user.created_at),
                "roles": [*user.roles],
                "state": "active" if user.disabled_at is None else "disabled",
            }
            for user in found
        ],
        as_json=options.json,
        if_empty=f"Nobody is called so in {store_read()}."
        if options.search
        else "There are no accounts yet: a server prints a set-up link at its start; gatepost users add works too. "
        f"This was read from {store_read()}.",
    )


async def _find(store: Store, search: str | None) -> list[User]:
    """Return whose name begins so or whose subject it is, by name; without a search everybody, the oldest first."""
    if not search:
        return await store.users.list_users()
    named = await store.administration.find_person(search)
    if named is not None:
        return [named.user]
    return [
        listed.user for listed in await store.administration.list_people(name_begins=search, after=None, limit=_MOST)
    ]


def disable(options: argparse.Namespace) -> None:
    """Disable an account and revoke what it allowed."""
    now = int(time.time())
    user = _change(
        options.username, lambda users, user: users.disable_user(user.subject, now=now), AuditEvent.USER_DISABLED
    )
    say(f"Disabled {user.name}; its sessions are over and its tokens are revoked.")


def enable(options: argparse.Namespace) -> None:
    """Let a disabled account in again."""
    user = _change(options.username, lambda users, user: users.enable_user(user.subject), AuditEvent.USER_ENABLED)
    say(f"Enabled {user.name}; apps have to be allowed again.")


def end_sessions(options: argparse.Namespace) -> None:
    """Log a person out of every browser."""

    async def end(store: Store) -> tuple[User, int]:
        user = await find_person(store, options.username)
        if ended := await store.browser_sessions.end_sessions(user.subject):
            await audit(store, AuditEvent.SESSIONS_ENDED, subject=user.subject)
        return user, ended

    user, ended = with_store(end)
    say(f"Ended {ended} login{'' if ended == 1 else 's'} of {user.name}; apps stay connected.")


def role(options: argparse.Namespace) -> None:
    """Give somebody a role, or take it away."""
    name: str = options.role
    if options.change == "add":
        user = _change(options.username, lambda users, user: users.give_role(user.subject, name), AuditEvent.ROLE_GIVEN)
        say(f"{user.name} has the role {name} now.")
        return
    user = _change(options.username, lambda users, user: users.take_role(user.subject, name), AuditEvent.ROLE_TAKEN)
    say(f"{user.name} is not given the role {name} any more; a rule of the settings may still do so.")


def second_step(options: argparse.Namespace) -> None:
    """Turn an account's second step off: its password alone lets it in."""

    async def turn_off(store: Store) -> User:
        user = await find_person(store, options.username)
        if not await store.second_steps.turn_off(user.subject):
            raise CommandRefused(f"{user.name} has no second step.")
        await audit(store, AuditEvent.SECOND_STEP_TURNED_OFF, subject=user.subject)
        return user

    say(f"Turned the second step of {with_store(turn_off).name} off; the password alone lets in.")


def _role(text: str) -> str:
    if not is_role_name(text):
        raise argparse.ArgumentTypeError(f"takes {ROLE_TAKES}")
    return text


def invite(options: argparse.Namespace) -> None:
    """Print an invitation, in place of an earlier one for the same name."""
    try:
        username = None if options.name is None else canonical_username(options.name)
    except ValueError as error:
        raise CommandRefused(str(error)) from None

    async def offer(store: Store) -> str:
        link = await _offers(store).invite(username, hours=options.hours)
        if link is None:
            raise CommandRefused(f"There is an account {username} already; gatepost users reset lets it in again.")
        await audit(store, AuditEvent.USER_INVITED)
        return link

    _say_link(with_store(offer), hours=options.hours)


def reset(options: argparse.Namespace) -> None:
    """Print a link that sets an account's password, in place of an earlier one."""

    async def offer(store: Store) -> str:
        user = await find_account(store, options.username)
        if user is None:
            raise CommandRefused(f"There is no account {options.username}; see gatepost users list.")
        link = await _offers(store).reset_password(user, hours=options.hours)
        if link is None:
            raise CommandRefused(f"{user.name} is disabled; gatepost users enable lets the account in again.")
        await audit(store, AuditEvent.PASSWORD_RESET_OFFERED, subject=user.subject)
        return link

    _say_link(with_store(offer), hours=options.hours)


def _say_link(link: str, *, hours: int) -> None:
    """Print a link, and on standard error to which server it leads: what `gatepost serve` was given is unknown here."""
    say(link)
    complain(
        f"It works once, for {hours} hour{'' if hours == 1 else 's'}, at the server {_origin()}. If yours is known by "
        "another address, put that in place of this one, or set MCP_PUBLIC_URL to it here, too."
    )


def _origin() -> str:
    return resolve_deployment(load_settings(), is_single_user=False).public_url


def _offers(store: Store) -> AccountLinkOffers:
    return AccountLinkOffers(
        links=store.account_links,
        origin=_origin(),
        now=lambda: int(time.time()),
        random_bytes=secrets.token_bytes,
    )


def passwd(options: argparse.Namespace) -> None:
    """Set a password, unless it is refused, and end the account's browser sessions."""
    from gatepost.identity.passwords import hash_password  # noqa: PLC0415 - argon2 only where it is used

    username = with_store(lambda store: find_person(store, options.username)).username
    try:
        password_hash = hash_password(_read_password(from_stdin=options.password_stdin), username=username)
    except ValueError as error:
        raise CommandRefused(str(error)) from None

    async def change(users: UserStore, user: User) -> bool:
        return user.username is not None and await users.change_password(user.username, password_hash)

    user = _change(options.username, change, AuditEvent.PASSWORD_CHANGED)
    say(f"Changed the password of {user.name}.")


def _change(name: str, operation: Callable[[UserStore, User], Awaitable[bool]], event: AuditEvent) -> User:
    """Do something to the account that is called `name`, or has it for a subject; `event` goes to the audit trail.

    Raises:
        CommandRefused: there is none, or it has no password here.
    """

    async def run(store: Store) -> User:
        user = await find_person(store, name)
        if not await operation(store.users, user):
            raise CommandRefused(f"{user.name} logs in with {user.issuer} and has no password here.")
        await audit(store, event, subject=user.subject)
        return user

    return with_store(run)


def _read_password(*, from_stdin: bool) -> str:
    """Return the password from one line of standard input, or ask twice at the terminal.

    Raises:
        ValueError: the two answers differ, or there is nobody to ask.
    """
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    try:
        with warnings.catch_warnings():
            # Without a terminal getpass warns and reads the password where everybody sees it.
            warnings.simplefilter("error", getpass.GetPassWarning)
            password = getpass.getpass("Password: ")
            again = getpass.getpass("Again: ")
    except (getpass.GetPassWarning, EOFError):
        raise ValueError(
            "There is no terminal to ask for the password at: give it on standard input, with --password-stdin."
        ) from None
    if again != password:
        raise ValueError("The two passwords differ; nothing was changed.")
    return password
