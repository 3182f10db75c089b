"""`gatepost audit`: what was decided, newest first, as a table or as JSON lines."""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gatepost.cli.open_store import with_store
from gatepost.cli.output import moment, say, table

if TYPE_CHECKING:
    from gatepost.oauth.audit import AuditRecord
    from gatepost.stores.contract.store import Store

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PAGE: Final = 500


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `audit`."""
    parser = commands.add_parser(
        "audit",
        help="show what was decided: logins, consent, tokens, refusals",
        description="Show the audit trail, newest first. docs/audit.md lists events and reasons.",
    )
    parser.add_argument("--since", type=_since, default=0, metavar="TIME", help="2026-11-21, 2026-11-21T09:30 or 24h")
    parser.add_argument("--event", help="such as login, consent or refresh")
    parser.add_argument("--outcome", choices=("ok", "refused"))
    parser.add_argument("--subject", help="a user's subject; gatepost users list shows it")
    parser.add_argument("--client", help="a client_id")
    parser.add_argument("--limit", type=int, default=100, help="how many at the most (default 100; 0 for all)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.set_defaults(run=show)


def show(options: argparse.Namespace) -> int:
    """Print the events that the filters let through."""
    records = with_store(lambda store: _read(store, options))
    if options.json:
        for record in records:
            say(json.dumps({**asdict(record), "at": datetime.fromtimestamp(record.at, UTC).isoformat()}))
        return 0
    if not records:
        say("There are no such events.")
        return 0
    rows = [(moment(record.at), record.event, record.outcome, *map(_or_dash, _columns(record))) for record in records]
    say(table(("TIME", "EVENT", "OUTCOME", "REASON", "SUBJECT", "CLIENT", "ADDRESS", "GRANT"), rows))
    return 0


async def _read(store: Store, options: argparse.Namespace) -> list[AuditRecord]:
    from gatepost.oauth.audit import AuditQuery  # noqa: PLC0415 - with the rest of the work

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


def _columns(record: AuditRecord) -> tuple[str | None, ...]:
    return (record.reason, record.subject, record.client_id, record.address, record.grant_id)


def _or_dash(text: str | None) -> str:
    return text or "-"


def _since(text: str) -> int:
    """Return seconds UTC of a date, a date and time (UTC unless it says otherwise), or a stretch of time ago."""
    if ago := _AGO.fullmatch(text):
        return int(time.time()) - int(ago[1]) * _SECONDS[ago[2]]
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("takes a date, a date and time, or a stretch of time such as 24h") from None
    return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp())
