"""`gatepost audit`: what was decided, newest first, as a table or as JSON lines."""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from gatepost.cli.open_store import with_store
from gatepost.cli.terminal import moment, say, say_table
from gatepost.oauth.audit import AuditQuery, AuditRecord
from gatepost.stores.contract.store import Store

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PAGE: Final = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `audit` takes."""
    parser.description = "Show the audit trail, newest first. docs/audit.md lists events and reasons."
    parser.add_argument("--since", type=_since, default=0, metavar="TIME", help="2026-11-21, 2026-11-21T09:30 or 24h")
    parser.add_argument("--event", help="such as login, consent or refresh")
    parser.add_argument("--outcome", choices=("ok", "refused"))
    parser.add_argument("--subject", help="a user's subject; gatepost users list shows it")
    parser.add_argument("--client", help="a client_id")
    parser.add_argument("--limit", type=int, default=100, help="how many at the most (default 100; 0 for all)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.set_defaults(run=show)


def show(options: argparse.Namespace) -> None:
    """Print the events that the filters let through."""
    records = with_store(lambda store: _read(store, options))
    if options.json:
        for record in records:
            say(json.dumps({**asdict(record), "at": datetime.fromtimestamp(record.at, UTC).isoformat()}))
        return
    say_table(
        ("TIME", "EVENT", "OUTCOME", "REASON", "SUBJECT", "CLIENT", "ADDRESS", "GRANT"),
        [_row(record) for record in records],
        if_empty="There are no such events.",
    )


async def _read(store: Store, options: argparse.Namespace) -> list[AuditRecord]:
    query = AuditQuery(
        since=options.since,
        event=options.event,
        outcome=options.outcome,
        subject=options.subject,
        client_id=options.client,
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


def _row(record: AuditRecord) -> list[str]:
    known = (record.reason, record.subject, record.client_id, record.address, record.grant_id)
    return [moment(record.at), record.event, record.outcome, *(text or "-" for text in known)]


def _since(text: str) -> int:
    """Return seconds UTC of a date, a date and time (UTC unless it says otherwise), or a stretch of time ago."""
    if ago := _AGO.fullmatch(text):
        return int(time.time()) - int(ago[1]) * _SECONDS[ago[2]]
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("takes a date, a date and time, or a stretch of time such as 24h") from None
    return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp())
