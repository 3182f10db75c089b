"""`gatepost users passkeys NAME …`: one person's passkeys, from the terminal."""

from __future__ import annotations

import argparse

from gatepost.cli.accounts import find_account
from gatepost.cli.open_store import audit, with_store
from gatepost.cli.terminal import Actions, CommandRefused, add_json, moment, say, say_list
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User

_ALL = "all"


def add_action(actions: Actions) -> None:
    """Add the action `passkeys`."""
    action = actions.add(
        "passkeys",
        run,
        "show, rename or remove an account's passkeys",
        description="Show an account's passkeys, rename one, or remove some. Only their person can add any.",
    )
    action.add_argument("username", metavar="NAME", help="the account, or its subject")
    action.add_argument(
        "what", nargs="?", default="list", choices=("list", "rename", "remove"), help="what to do (list)"
    )
    action.add_argument("passkey", nargs="?", metavar="PASSKEY", help=f"as the list shows it; or {_ALL}, to remove")
    action.add_argument("name", nargs="?", metavar="NEW-NAME", help="what it will be called")
    add_json(action)


def run(options: argparse.Namespace) -> None:
    """Do what is asked; refused with exit code 2 where it is not said to which passkey, or how to call it."""
    takes = {"list": (False, False), "rename": (True, True), "remove": (True, False)}[options.what]
    if (options.passkey is not None, options.name is not None) != takes:
        usage = {"list": "", "rename": " PASSKEY NEW-NAME", "remove": f" PASSKEY (or {_ALL})"}[options.what]
        raise CommandRefused(f"Usage: gatepost users passkeys NAME {options.what}{usage}", exit_code=2)
    {"list": _show, "rename": _rename, "remove": _remove}[options.what](options)


def _show(options: argparse.Namespace) -> None:
    async def listed(store: Store) -> list[Passkey]:
        return await store.passkeys.list_passkeys((await _find(store, options.username)).subject)

    say_list(
        [
            {
                "passkey": passkey.number,
                "name": passkey.name,
                "host": passkey.rp_id,
                "created": moment(passkey.created_at),
                "last_used": None if passkey.last_used_at is None else moment(passkey.last_used_at),
            }
            for passkey in with_store(listed)
        ],
        as_json=options.json,
        if_empty=f"{options.username} has no passkeys.",
    )


def _rename(options: argparse.Namespace) -> None:
    name = display_text(options.name)
    if not name:
        raise CommandRefused("There is nothing in that name that can be read.")

    async def rename(store: Store) -> None:
        user = await _find(store, options.username)
        (passkey,) = await _chosen(store, user, options.passkey)
        if await store.passkeys.rename_passkey(user.subject, passkey.credential_id, name):
            await audit(store, AuditEvent.PASSKEY_RENAMED, subject=user.subject)

    with_store(rename)
    say(f"It is called {name} now.")


def _remove(options: argparse.Namespace) -> None:
    async def remove(store: Store) -> int:
        user, removed = await _find(store, options.username), 0
        for passkey in await _chosen(store, user, options.passkey, may_be_all=True):
            if await store.passkeys.remove_passkey(user.subject, passkey.credential_id):
                await audit(store, AuditEvent.PASSKEY_REMOVED, subject=user.subject)
                removed += 1
        return removed

    removed = with_store(remove)
    say(f"Removed {removed} passkey{'' if removed == 1 else 's'}; browsers that are logged in stay so.")


async def _find(store: Store, name: str) -> User:
    user = await find_account(store, name) or await store.users.find_user_by_subject(name)
    if user is None:
        raise CommandRefused(f"There is no account {name}; see gatepost users list.")
    return user


async def _chosen(store: Store, user: User, number: str, *, may_be_all: bool = False) -> list[Passkey]:
    """Return the passkeys that are meant, one at least."""
    own = await store.passkeys.list_passkeys(user.subject)
    chosen = own if may_be_all and number == _ALL else [each for each in own if each.number == number]
    if not chosen:
        raise CommandRefused(f"{user.name} has no such passkey; see gatepost users passkeys {user.name}.")
    return chosen
