"""`gatepost users logins` and `unlink`: by what a person can log in."""

from __future__ import annotations

import argparse

from gatepost.cli.accounts import find_person
from gatepost.cli.open_store import audit, with_store
from gatepost.cli.terminal import Actions, CommandRefused, add_json, moment, say, say_list
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.stores.contract.linked_logins import LinkedLogin, UnlinkOutcome
from gatepost.stores.contract.store import Store


def add_login_actions(actions: Actions) -> None:
    """Add the actions of `users` that are about logins."""
    listing = actions.add("logins", logins, "show the logins of an account")
    unlinking = actions.add(
        "unlink",
        unlink,
        "take a login from an account",
        description="Take a login from an account, where it has another; browsers that came by it are logged out. "
        "Of an account that is disabled the last one can go, too, and then be linked to somebody else.",
    )
    for action in (listing, unlinking):
        action.add_argument("username", metavar="NAME", help="the account, or its subject")
    unlinking.add_argument("issuer", metavar="ISSUER", help="as gatepost users logins shows it")
    add_json(listing)


def logins(options: argparse.Namespace) -> None:
    """Print the logins of an account, the one that it began with first."""

    async def find(store: Store) -> list[LinkedLogin]:
        user = await find_person(store, options.username)
        return await store.linked_logins.list_logins(user.subject)

    say_list(
        [
            {
                "issuer": login.issuer,
                "subject_there": display_text(login.external_subject),
                "name_there": login.display_name,
                "since": moment(login.linked_at),
            }
            for login in with_store(find)
        ],
        as_json=options.json,
        if_empty="This account has no login any more.",
    )


def unlink(options: argparse.Namespace) -> None:
    """Take a login from an account; refused with exit code 1 when it is not there, or the only one, or the password."""

    async def take(store: Store) -> str:
        user = await find_person(store, options.username)
        own = await store.linked_logins.list_logins(user.subject)
        named = next((login for login in own if login.issuer == options.issuer), None)
        outcome = UnlinkOutcome.UNKNOWN
        if named is not None:
            outcome = await store.linked_logins.unlink_login(
                user.subject,
                named.key,
                keeps=[login.key for login in own if login is not named],
                even_last=True,
            )
        if outcome is UnlinkOutcome.LAST:
            raise CommandRefused(
                f"That is the only login of {user.name}. If somebody else is to have it, disable this account first: "
                "gatepost users disable."
            )
        if outcome is UnlinkOutcome.UNKNOWN:
            raise CommandRefused(
                f"{user.name} has no login elsewhere of that issuer; gatepost users logins shows which there are."
            )
        await audit(store, AuditEvent.LOGIN_UNLINKED, subject=user.subject)
        return user.name

    say(f"Unlinked a login of {with_store(take)}.")
