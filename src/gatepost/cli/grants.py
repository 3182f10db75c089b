"""`gatepost grants …`: what people have allowed, and taking it back."""

from __future__ import annotations

import argparse
import time

from gatepost.cli.accounts import subject_of
from gatepost.cli.open_store import audit, store_read, with_store
from gatepost.cli.terminal import Actions, CommandRefused, moment, say, say_list
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.approvals import GrantListing
from gatepost.stores.contract.store import Store

_MOST = 1000
"""Grants in one list; more is no use to a person."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `grants`."""
    actions = Actions(parser)
    listing = actions.add_list(show, "show grants", description="Show grants, the newest first.")
    listing.add_argument("--all", action="store_true", help="also those that were revoked or are over")
    revoking = actions.add(
        "revoke",
        revoke,
        "revoke grants",
        description="Revoke grants with all their tokens. A running server notices within five seconds. "
        "--user alone ends also what apps are about to get of that person, who will be asked again.",
    )
    revoking.add_argument("grant_ids", nargs="*", metavar="GRANT", help="as gatepost grants list shows it")
    for action in (listing, revoking):
        action.add_argument("--user", metavar="NAME", help="only those of this account (or subject)")
        action.add_argument("--client", metavar="CLIENT_ID", help="only those of this client")


def show(options: argparse.Namespace) -> None:
    """Print grants."""
    now = int(time.time())
    listings = with_store(lambda store: _select(store, options, live_at=None if options.all else now))
    say_list(
        [_row(listing, now=now) for listing in listings],
        as_json=options.json,
        if_empty=f"There are no such grants in {store_read()}.",
    )


def revoke(options: argparse.Namespace) -> None:
    """Revoke grants; refused with exit code 2 when none is named, 1 where one that is named does not count."""
    if not (options.grant_ids or options.user or options.client):
        raise CommandRefused(
            "Name what to revoke: a GRANT, --user or --client; gatepost grants list shows what there is.", exit_code=2
        )
    revoked, unknown = with_store(lambda store: _revoke(store, options, now=int(time.time())))
    if revoked or not unknown:
        say(f"Revoked {revoked} grant{'' if revoked == 1 else 's'}.")
    if unknown:
        raise CommandRefused(
            *(f"There is no grant {grant_id} that counts; see gatepost grants list." for grant_id in unknown)
        )


async def _revoke(store: Store, options: argparse.Namespace, *, now: int) -> tuple[int, list[str]]:
    """Return how many were revoked, and which of those named do not count."""

    async def end(subject: str | None, grant_id: str | None) -> int:
        reason = Reason.OPERATOR_REVOKED
        ended = await store.approvals.take_back(subject, grant_id=grant_id, reason=reason.value, now=now)
        for grant in ended:
            await audit(
                store,
                AuditEvent.REVOCATION,
                reason=reason,
                subject=grant.subject,
                client_id=grant.client_id,
                grant_id=grant.grant_id,
            )
        return len(ended)

    unknown = [grant_id for grant_id in options.grant_ids if not await end(None, grant_id)]
    revoked = len(options.grant_ids) - len(unknown)
    if options.user and not options.client:
        return revoked + await end(await subject_of(store, options.user), None), unknown
    # List after list until nothing is left: one that is cut off would leave somebody in.
    while options.client and (listings := await _select(store, options, live_at=now)):
        for listing in listings:
            revoked += await end(listing.grant.subject, listing.grant.grant_id)
    return revoked, unknown


async def _select(store: Store, options: argparse.Namespace, *, live_at: int | None) -> list[GrantListing]:
    subject = None if options.user is None else await subject_of(store, options.user)
    return await store.approvals.list_grants(live_at=live_at, subject=subject, client_id=options.client, limit=_MOST)


def _row(listing: GrantListing, *, now: int) -> dict[str, object]:
    grant = listing.grant
    if grant.revoked_at is not None:
        state = f"revoked {moment(grant.revoked_at)}: {grant.revoked_reason}"
    else:
        state = f"{'over' if grant.expires_at <= now else 'until'} {moment(grant.expires_at)}"
    return {
        "grant": grant.grant_id,
        "user": listing.display_name or grant.subject,
        "client": f"{display_text(listing.client_name)} ({grant.client_id})"
        if listing.client_name
        else grant.client_id,
        "resource": grant.resource,
        "scopes": list(grant.scopes),
        "created": moment(grant.created_at),
        "state": state,
    }
