"""`gatepost store status|migrate|check|export|import`: work on a store as a whole, which `stores.care` does."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from gatepost import __version__
from gatepost.cli.open_store import mention_other_store, reachable_location
from gatepost.cli.terminal import Actions, CommandRefused, add_json, moment, say, say_beside, say_record, say_table
from gatepost.configuration.deployment import key_file
from gatepost.configuration.sealing_keys import keys_in_file, make_key_ring
from gatepost.configuration.settings import Settings, load_settings
from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome, event_id
from gatepost.oauth.reasons import Reason
from gatepost.tokens.sealing import KeyRing

if TYPE_CHECKING:
    from gatepost.stores.care.checking import StoreReport
    from gatepost.stores.care.state import StoreStatus

_STREAM: Final = "-"
_NAMES: Final = {
    "users": "people",
    "clients": "clients",
    "grants": "grants",
    "access_tokens": "access tokens",
    "refresh_tokens": "refresh tokens",
    "api_keys": "API keys",
    "browser_sessions": "browser sessions",
    "mcp_sessions": "MCP sessions",
    "audit_events": "audit events",
}
"""The tables that tell most, for people."""


def add_actions(actions: Actions) -> None:
    """Add the actions to those of `store`."""
    looking = actions.add(
        "status",
        status,
        "show where the store is, in which version, and what it holds",
        description="Show where the store is, its schema version and size, and how much it holds. Changes nothing.",
    )
    add_json(looking)
    checking = actions.add(
        "check",
        check,
        "see whether the store is sound",
        description="See whether the database is damaged, whether rows refer to what is not there, and whether sealed "
        "values open with the keys at hand. Changes nothing; servers may be running. Exit code 1: something is wrong.",
    )
    add_json(checking)
    actions.add(
        "migrate",
        migrate,
        "bring the store's schema up to date, or make a new store",
        description="Bring the schema up to date, or make a new store. A server does so by itself when it starts.",
    )
    exporting = actions.add(
        "export",
        export,
        "write the store's rows into a file, for another database",
        description="Write the store as it is now into a new file of JSON lines, for gatepost store import. Secrets "
        "stay hashed and sealed. A server may be running.",
    )
    exporting.add_argument("file", metavar="FILE", help="the new file; - for standard output")
    importing = actions.add(
        "import",
        import_,
        "fill an empty store from an export",
        description="Fill a store in which nothing was made yet, wholly or not at all, and end all access that was "
        "given, since what was revoked after the export would be good again.",
    )
    importing.add_argument("file", metavar="FILE", help="what gatepost store export has made; - for standard input")
    importing.add_argument(
        "--keep-access", action="store_true", help="leave tokens and logins as they were: nothing was revoked since"
    )


def status(options: argparse.Namespace) -> None:
    """Print what there is to say at a look."""
    from gatepost.stores.care.state import status_of  # noqa: PLC0415 - a database's driver comes with it

    settings = load_settings()
    location = reachable_location(settings, may_create=False)
    mention_other_store(settings)
    found = asyncio.run(status_of(location))
    if options.json:
        say(json.dumps({**asdict(found), "is_migration_due": found.state == "older"}))
    else:
        said: dict[str, object] = {name: found.rows.get(table) for table, name in _NAMES.items()}
        say_record({**_head(found), **said})
    if found.state == "unusable":
        raise CommandRefused("This Gatepost does not work with that schema: use the one that migrated the store.")


def migrate(_options: argparse.Namespace) -> None:
    """Bring the schema up to date and say from where to where."""
    from gatepost.stores.care.state import migrate_store  # noqa: PLC0415 - as above

    location = reachable_location(load_settings(), may_create=True)
    before, after = asyncio.run(migrate_store(location))
    place = location.make_store().description
    if before == after:
        say(f"The store {place} has schema version {after} already.")
    elif before == 0:
        say(f"Made the store {place} with schema version {after}.")
    else:
        say(f"Migrated the store {place} from schema version {before} to {after}.")


def check(options: argparse.Namespace) -> None:
    """Look at everything; refuse, with what is wrong, where the store is not sound."""
    from gatepost.stores.care.checking import check_store  # noqa: PLC0415 - as above

    settings = load_settings()
    location = reachable_location(settings, may_create=False)
    mention_other_store(settings)
    report = asyncio.run(check_store(location, ring=_ring_at_hand(settings), now=int(time.time())))
    if options.json:
        say(json.dumps({**asdict(report), "is_sound": report.is_sound}))
    else:
        _say_report(report)
    if not report.is_sound:
        raise CommandRefused(*(f"{problem}." for problem in report.problems))


def export(options: argparse.Namespace) -> None:
    """Write the file, and say what is in it."""
    from gatepost.stores.care.moving import export_store  # noqa: PLC0415 - as above

    settings = load_settings()
    location = reachable_location(settings, may_create=False)
    mention_other_store(settings)
    with _target(options.file) as file:
        header = asyncio.run(
            export_store(location, file.write, made_at=int(time.time()), made_by=__version__, progress=show_progress)
        )
    if options.file == _STREAM:
        return
    say(f"Exported {header.total} rows of the store {location.make_store().description} to {options.file}.")
    say(
        "What is sealed in it opens with the sealing keys of this store alone, which are not in it. Sessions of MCP "
        "clients are not in it either: clients begin new ones."
    )


def import_(options: argparse.Namespace) -> None:
    """Fill the store, and say what to do next."""
    from gatepost.stores.care.moving import Ending, import_store  # noqa: PLC0415 - as above

    settings = load_settings()
    location = reachable_location(settings, may_create=True)
    now = int(time.time())
    ending = None if options.keep_access else Ending(Reason.OPERATOR_REVOKED.value, now)
    events = [AuditEvent.STORE_IMPORTED, *([] if ending is None else [AuditEvent.ALL_REVOKED])]
    with _source(options.file) as file:
        done = asyncio.run(
            import_store(location, file, ending=ending, events=list(map(_event, events)), progress=show_progress)
        )
    say(
        f"Imported {done.header.total} rows into the store {location.make_store().description}, as they were on "
        f"{moment(done.header.made_at)}."
    )
    if done.ended:
        say_table(("ENDED", "COUNT"), [(what, str(count)) for what, count in done.ended.items()])
    say("It opens with the sealing keys of the store that was exported: MCP_SEALING_KEYS, or the key file beside it.")


def show_progress(done: int, total: int) -> None:
    """Say how far it is, on a terminal only."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        say_beside(f"\r{done * 100 // max(total, 1):3} %", end=end)


@contextmanager
def _target(name: str) -> Iterator[BinaryIO]:
    from gatepost.stores.new_files import new_file  # noqa: PLC0415 - as above

    if name == _STREAM:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise CommandRefused("The export is not whole: the program that read it has ended.") from None
        return
    with new_file(Path(name)) as draft, draft.open("wb") as file:
        yield file


@contextmanager
def _source(name: str) -> Iterator[BinaryIO]:
    if name == _STREAM:
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below; what reading raises is another matter
    except OSError as error:
        raise CommandRefused(f"{name} cannot be read: {error.strerror}.") from None
    with file:
        yield file


def _event(event: AuditEvent) -> AuditRecord:
    at, fraction = divmod(time.time(), 1)
    name = event_id(at=int(at), microsecond=int(fraction * 1_000_000), random=secrets.token_bytes(6))
    return AuditRecord(name, int(at), event, Outcome.OK, address="terminal")


def _ring_at_hand(settings: Settings) -> KeyRing | None:
    """Return the sealing keys, unless they would have to be made. Raises SettingsError as `keys_in_file`."""
    file = key_file(settings)
    if settings.server.sealing_keys is not None:
        return make_key_ring(settings, file=file, random_bytes=secrets.token_bytes)
    return KeyRing(keys_in_file(file, random_bytes=secrets.token_bytes)) if file.exists() else None


def _schema(found: StoreStatus | StoreReport) -> str:
    known = f"this Gatepost knows versions up to {found.known_version}"
    said = {
        "current": f"{found.schema_version}, as this Gatepost has it",
        "older": f"{found.schema_version}; {found.known_version} is due: gatepost store migrate, or a server's start",
        "newer": f"{found.schema_version}; {known}, and works with this one",
        "unusable": f"{found.schema_version}; {known}, and not this one",
        "empty": "none: no store was made here yet",
    }
    return said[found.state]


def _head(found: StoreStatus | StoreReport) -> dict[str, object]:
    size = f"{found.size / 1_000_000:.1f} MB"
    return {"store": found.place, "database": found.database, "schema": _schema(found), "size": size}


def _say_report(report: StoreReport) -> None:
    say_record({**_head(report), **{f"sealed under {key}": values for key, values in report.sealed_under.items()}})
    say_table(
        ("TABLE", "ROWS", "OLDEST", "NEWEST"),
        [
            (table.name, str(table.rows), moment(table.oldest) or "-", moment(table.newest) or "-")
            for table in report.tables
        ],
    )
    for what in report.not_asked:
        say(f"Not looked at: {what}.")
    if report.is_sound:
        say("Nothing is wrong.")
