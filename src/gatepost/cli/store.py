"""`gatepost store …`: the store as a whole."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Final

from gatepost.cli.open_store import audit, mention_other_store, reachable_location, with_store
from gatepost.cli.store_care import add_actions, show_progress
from gatepost.cli.terminal import Actions, past_moment, say, say_table
from gatepost.configuration.settings import Settings, SettingsError, load_settings
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.store import Store
from gatepost.stores.purging import purge_everything, purges_of
from gatepost.stores.urls import Copying, Location

_FILE: Final = "FILE"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `store`."""
    actions = Actions(parser)
    actions.add(
        "purge",
        purge,
        "delete what is over",
        description="Delete what is over, in small batches. A running server does so by itself.",
    )
    backing_up = actions.add(
        "backup",
        back_up,
        "copy the store into a file",
        description="Copy the store as it is now into a new file, and check the copy. A server may be running.",
    )
    backing_up.add_argument("file", type=Path, metavar=_FILE, help="the new file; one that exists is not replaced")
    restoring = actions.add(
        "restore",
        restore,
        "put a backup in the store's place",
        description="Put a backup in the store's place and end all access that was given before, since what was "
        "revoked after the backup would be good again. No server may be running. docs/backup.md says what else to do.",
    )
    restoring.add_argument("file", type=Path, metavar=_FILE, help="what gatepost store backup has made")
    restoring.add_argument(
        "--keep-access", action="store_true", help="leave tokens and logins as they were: nothing was revoked since"
    )
    revoking = actions.add(
        "revoke-all",
        revoke_all,
        "end all access that was given",
        description="End grants with their tokens, API keys, logins, sessions and remembered approvals, and what login "
        "providers gave for tools. Accounts, clients and signing keys stay. A running server notices within five "
        "seconds.",
    )
    add_actions(actions)
    revoking.add_argument(
        "--before", type=past_moment, metavar="TIME", help="only what began before: 2026-11-21T09:30 or 24h (ago)"
    )


def purge(_options: argparse.Namespace) -> None:
    """Delete all that is over and print how many rows went.

    Without the lease that servers take: a second purge beside the first only finds less to do.
    """
    audit_days = load_settings().oauth.audit_days
    deleted = with_store(lambda store: _purge(store, audit_days=audit_days))
    say_table(("PURGED", "ROWS"), [(what, str(count)) for what, count in deleted.items()])


async def _purge(store: Store, *, audit_days: int) -> dict[str, int]:
    async def go_on() -> bool:
        return True

    return await purge_everything(
        purges_of(store, audit_days=audit_days), now=lambda: int(time.time()), may_go_on=go_on
    )


def back_up(options: argparse.Namespace) -> None:
    """Copy the store and say which keys belong to the copy."""
    settings = load_settings()
    location = reachable_location(settings, may_create=False)
    mention_other_store(settings)
    _copying(location).back_up(options.file, show_progress)
    say(f"Copied the store {location.make_store().description} to {options.file} and checked the copy.")
    say(
        f"What is sealed in it opens with {_keys(settings, location)} alone, which is not in it: keep a copy of that "
        "too, in another place. What your tools keep in files of their own is not in it either."
    )


def restore(options: argparse.Namespace) -> None:
    """Put a backup in the store's place, end access, and say what is old again."""
    settings = load_settings()
    location = reachable_location(settings, may_create=True)
    aside = _copying(location).restore(options.file, show_progress)
    say(f"Restored the store {location.make_store().description} from {options.file}.")
    if aside is not None:
        say(f"The store that was in its place is {aside} now.")

    async def finish(store: Store) -> dict[str, int]:
        await audit(store, AuditEvent.STORE_RESTORED)
        return {} if options.keep_access else await _revoke_all(store, issued_before=None)

    if ended := with_store(finish):
        _say_ended(ended)
    say(
        f"It opens with the sealing keys of the time of the backup: {_keys(settings, location)}. Accounts, passwords, "
        "clients and signing keys are those of that time too; docs/backup.md says what to look at."
    )
    if settings.server.sealing_keys is None and location.key_file is not None and not location.key_file.exists():
        say(
            f"There is no {location.key_file} yet: before a server starts, copy the key file that lay beside the "
            "store of the backup there, or set MCP_SEALING_KEYS if that was set."
        )


def revoke_all(options: argparse.Namespace) -> None:
    """End access and print how much of what ended."""
    _say_ended(with_store(lambda store: _revoke_all(store, issued_before=options.before)))


async def _revoke_all(store: Store, *, issued_before: int | None) -> dict[str, int]:
    ended = await store.approvals.revoke_all(
        issued_before=issued_before, reason=Reason.OPERATOR_REVOKED.value, now=int(time.time())
    )
    await audit(store, AuditEvent.ALL_REVOKED)
    return ended


def _say_ended(ended: dict[str, int]) -> None:
    say_table(("ENDED", "COUNT"), [(what, str(count)) for what, count in ended.items()])


def _copying(location: Location) -> Copying:
    if location.copying is None:
        raise SettingsError(
            "MCP_STORAGE_URL names a database that is backed up by its own means (pg_dump): docs/backup.md."
        )
    return location.copying


def _keys(settings: Settings, location: Location) -> str:
    return "MCP_SEALING_KEYS" if settings.server.sealing_keys is not None else f"the key file {location.key_file}"
