"""`gatepost apikeys …`: keys for scripts and clients that log nobody in, and their end."""

from __future__ import annotations

import argparse
import secrets
import time

from gatepost.cli.accounts import find_person
from gatepost.cli.open_store import audit, store_read, with_store
from gatepost.cli.served import find_endpoint, read_scopes
from gatepost.cli.terminal import Actions, CommandRefused, complain, moment, say, say_list, stretch
from gatepost.configuration.settings import Settings, load_settings
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.resource.api_keys import NAME_TAKES, is_key_name
from gatepost.stores.contract.api_keys import ApiKey, KeyAddition, new_api_key
from gatepost.stores.contract.store import Store

_MOST = 1000
"""Keys in one list; more is no use to a person."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `apikeys`."""
    actions = Actions(parser)
    creating = actions.add(
        "create",
        create,
        "make a key and print it, once",
        description="Make an API key and print it, once: the store keeps its SHA-256 only. Send it as "
        "Authorization: Bearer KEY, or as MCP-API-Key: KEY.",
    )
    creating.add_argument("name", metavar="NAME", help=NAME_TAKES)
    creating.add_argument(
        "--scopes", required=True, metavar="SCOPES", help='what it may do, such as "notes:read notes:write"'
    )
    creating.add_argument(
        "--expires", type=stretch, metavar="TIME", help="how long it counts, such as 90d (default: until it is revoked)"
    )
    creating.add_argument(
        "--resource", metavar="URL", help="the endpoint that it opens, a URL or a path (default: the server's own)"
    )
    creating.add_argument(
        "--user", metavar="NAME", help="the account (or subject) that it stands for (default: none; it is its own)"
    )
    listing = actions.add_list(show, "show keys", description="Show keys, the newest first, and never a secret.")
    listing.add_argument("--all", action="store_true", help="also those that were revoked or are over")
    revoking = actions.add(
        "revoke",
        revoke,
        "revoke keys",
        description="Revoke keys. A running server notices within five seconds.",
    )
    revoking.add_argument("names", nargs="+", metavar="NAME", help="name or id, as gatepost apikeys list shows them")


def create(options: argparse.Namespace) -> None:
    """Print a new key; refused with exit code 1 when the store does not allow it, 2 when an argument is wrong."""
    settings = load_settings()
    if not is_key_name(options.name):
        raise CommandRefused(f"NAME takes {NAME_TAKES}.", exit_code=2)
    secret, key = with_store(lambda store: _create(store, settings, options))
    say(secret)
    until = "until it is revoked" if key.expires_at is None else f"until {moment(key.expires_at)}"
    complain(f"{key.name} ({key.key_id}) opens {key.resource} {until}. It is not shown again.")


async def _create(store: Store, settings: Settings, options: argparse.Namespace) -> tuple[str, ApiKey]:
    resource, endpoint = find_endpoint(options.resource, settings, served := await store.endpoints.list_endpoints())
    if endpoint is None:
        known = ", ".join(each.path for each in served) or "none has started yet"
        raise CommandRefused(
            f"No server of this store has served {resource}, so its scopes are unknown: start it once. Served are: "
            f"{known}."
        )
    scopes = read_scopes(options.scopes, endpoint.scopes)
    if not scopes:
        raise CommandRefused(f"--scopes names none. The scopes are: {', '.join(endpoint.scopes)}.", exit_code=2)
    user = None if options.user is None else await find_person(store, options.user)
    secret, key = new_api_key(
        options.name,
        scopes=scopes,
        resource=resource,
        user_subject=None if user is None else user.subject,
        lifetime=options.expires,
        now=int(time.time()),
        random_bytes=secrets.token_bytes,
    )
    outcome = await store.api_keys.add_key(key)
    if outcome is KeyAddition.NAME_TAKEN:
        raise CommandRefused(f"There is a key {key.name} already; see gatepost apikeys list.")
    if outcome is KeyAddition.NO_PERSON:
        raise CommandRefused(f"The account {options.user} is disabled; see gatepost users list.")
    await audit(store, AuditEvent.API_KEY_CREATED, subject=key.user_subject or key.key_id, client_id=key.key_id)
    return secret, key


def show(options: argparse.Namespace) -> None:
    """Print keys."""
    now = int(time.time())
    live_at = None if options.all else now
    keys = with_store(lambda store: store.api_keys.list_keys(live_at=live_at, limit=_MOST))
    rows = [_row(key, now=now) for key in keys]
    say_list(rows, as_json=options.json, if_empty=f"There are no such keys in {store_read()}.")


def revoke(options: argparse.Namespace) -> None:
    """Revoke keys; refused with exit code 1 where one that is named does not count, after the others were revoked."""
    unknown = with_store(lambda store: _revoke(store, options.names, now=int(time.time())))
    count = len(options.names) - len(unknown)
    if count:
        say(f"Revoked {count} key{'' if count == 1 else 's'}.")
    if unknown:
        raise CommandRefused(*(f"There is no key {name} that counts; see gatepost apikeys list." for name in unknown))


async def _revoke(store: Store, names: list[str], *, now: int) -> list[str]:
    """Return the names of keys that do not count."""
    unknown: list[str] = []
    for name in names:
        key = await store.api_keys.revoke_key(name, now=now)
        if key is None:
            unknown.append(name)
            continue
        await audit(
            store,
            AuditEvent.API_KEY_REVOKED,
            reason=Reason.OPERATOR_REVOKED,
            subject=key.user_subject or key.key_id,
            client_id=key.key_id,
        )
    return unknown


def _row(key: ApiKey, *, now: int) -> dict[str, object]:
    if key.revoked_at is not None:
        state = f"revoked {moment(key.revoked_at)}"
    elif key.expires_at is None:
        state = "counts"
    else:
        state = f"{'until' if key.counts(now=now) else 'over'} {moment(key.expires_at)}"
    return {
        "name": key.name,
        "key": key.key_id,
        "user": key.user_subject,
        "scopes": list(key.scopes),
        "resource": key.resource,
        "created": moment(key.created_at),
        "last_used": moment(key.last_used_at),
        "state": state,
    }
