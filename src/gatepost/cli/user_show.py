"""`gatepost users show`: what the admin page of a person shows."""

from __future__ import annotations

import argparse
import time
from typing import Final

from gatepost.cli.accounts import find_person
from gatepost.cli.open_store import with_store
from gatepost.cli.terminal import Actions, add_json, moment, say_record
from gatepost.configuration.settings import load_settings
from gatepost.identity.roles import Roles
from gatepost.oauth.display_text import display_text
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import LOCAL

_MOST: Final = 1000
"""Of each kind that is counted or listed; more is no use to a person."""


def add_action(actions: Actions) -> None:
    """Add the action `show`."""
    action = actions.add(
        "show",
        show,
        "show an account",
        description="Show what is known of a person: profile, roles, logins, and how much of what gives access there "
        "is. Roles by a rule are those of the settings here; a rule in code is known to its server alone.",
    )
    action.add_argument("username", metavar="NAME", help="the account, or its subject")
    add_json(action)


def show(options: argparse.Namespace) -> None:
    """Print a person; refused with exit code 1 when there is none."""
    from gatepost.assembly.admission import roles_there_are  # noqa: PLC0415 - what a server is built of; for this alone

    roles = roles_there_are(load_settings(), None)
    say_record(with_store(lambda store: _read(store, options.username, roles)), as_json=options.json)


async def _read(store: Store, name: str, roles: Roles) -> dict[str, object]:
    user, now = await find_person(store, name), int(time.time())
    subject = user.subject
    listed = await store.administration.find_person(subject)
    logins = await store.linked_logins.list_logins(subject)
    tokens = await store.upstream_tokens.list_tokens(subject, limit=_MOST)
    return {
        "subject": subject,
        "name": user.name,
        "username": user.username,
        "email": user.profile.email,
        "email_verified": None if user.profile.email is None else user.profile.email_verified,
        "groups": [*user.profile.groups],
        "since": moment(user.created_at),
        "last_login": None if listed is None else moment(listed.last_login_at),
        "state": "active" if user.disabled_at is None else f"disabled {moment(user.disabled_at)}",
        "roles": [*user.roles],
        "roles_by_rule": sorted(roles.of(user) - {*user.roles}),
        "logins": [
            "password" if each.issuer == LOCAL else f"{each.issuer} ({display_text(each.external_subject)})"
            for each in logins
        ],
        "second_step": "off" if user.second_step is None else "on",
        "passkeys": len(await store.passkeys.list_passkeys(subject)),
        "browsers": len(await store.browser_sessions.list_sessions(subject, now=now, limit=_MOST)),
        "apps": len(await store.approvals.list_apps(subject, now=now, limit=_MOST)),
        "tokens_for_tools": [kept.provider for kept in tokens],
    }
