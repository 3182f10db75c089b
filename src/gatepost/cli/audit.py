"""`gatepost audit`: what was decided, newest first, as a table or as JSON lines."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Final

from gatepost.cli.open_store import store_read, with_store
from gatepost.cli.terminal import add_json, moment, past_moment, say_list
from gatepost.oauth.audit import AuditEvent, AuditQuery, AuditRecord
from gatepost.stores.contract.store import Store

_PAGE: Final = 500
_COLUMNS: Final = {
    "time": "at",
    "event": "event",
    "outcome": "outcome",
    "reason": "reason",
    "subject": "subject",
    "client": "client_id",
    "address": "address",
    "grant": "grant_id",
    "by": "actor",
}
"""What people see, of an event's members."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `audit` takes."""
    parser.description = "Show the audit trail, newest first."
    parser.epilog = f"Events: {', '.join(AuditEvent)}. What each means, and the reasons: docs/audit.md."
    parser.add_argument(
        "--since", type=past_moment, default=0, metavar="TIME", help="2026-11-21, 2026-11-21T09:30 or 24h"
    )
    parser.add_argument("--until", type=past_moment, metavar="TIME", help="likewise")
    parser.add_argument(
        "--event",
        choices=[event.value for event in AuditEvent],
        metavar="EVENT",
        help="such as login, consent or refresh; all of them are below",
    )
    parser.add_argument("--outcome", choices=("ok", "refused"))
    parser.add_argument("--subject", help="a user's subject; gatepost users list shows it")
    parser.add_argument("--client", help="a client_id")
    parser.add_argument("--address", help="from where, such as 192.0.2.7 or terminal")
    parser.add_argument("--actor", metavar="SUBJECT", help="the administrator who did it on the admin pages")
    parser.add_argument("--limit", type=int, default=100, help="how many at the most (default 100; 0 for all)")
    add_json(parser)
    parser.set_defaults(run=show)


def show(options: argparse.Namespace) -> None:
    """Print the events that the filters let through."""
    records = with_store(lambda store: _read(store, options))
    rows = [asdict(record) | {"at": moment(record.at)} for record in records]
    say_list(
        rows if options.json else [{title: row[member] for title, member in _COLUMNS.items()} for row in rows],
        as_json=options.json,
        if_empty=f"There are no such events in {store_read()}.",
    )


async def _read(store: Store, options: argparse.Namespace) -> list[AuditRecord]:
    query = AuditQuery(
        since=options.since,
        event=options.event,
        outcome=options.outcome,
        subject=options.subject,
        client_id=options.client,
        address=options.address,
        actor=options.actor,
        until=options.until,
    )
    records: list[AuditRecord] = []
    while not options.limit or len(records) < options.limit:
        wanted = min(_PAGE, options.limit - len(records)) if options.limit else _PAGE
        before = records[-1].event_id if records else None
        page = await store.audit.list_events(query, before=before, limit=wanted)
        records += page
        if len(page) < wanted:
            break
    return records
