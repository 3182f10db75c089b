"""`gatepost grants …`: what people have allowed, and taking it back."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from gatepost.cli.open_store import with_store
from gatepost.cli.output import complain, moment, say, table

if TYPE_CHECKING:
    from gatepost.stores.contract.approvals import GrantListing
    from gatepost.stores.contract.store import Store

_MOST = 1000
"""Grants in one list; more is no use to a person."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `grants` and its actions."""
    parser = commands.add_parser("grants", help="see and revoke grants", description="See and revoke grants.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="show grants", description="Show grants, the newest first.")
    _add_filters(listing)
    listing.add_argument("--all", action="store_true", help="also those that were revoked or are over")
    listing.set_defaults(run=show)
    revoking = actions.add_parser(
        "revoke",
        help="revoke grants",
        description="Revoke grants with all their tokens. A running server notices within five seconds.",
    )
    revoking.add_argument("grant_ids", nargs="*", metavar="GRANT", help="as gatepost grants list shows it")
    _add_filters(revoking)
    revoking.set_defaults(run=revoke)


def _add_filters(action: argparse.ArgumentParser) -> None:
    action.add_argument("--user", metavar="NAME", help="only those of this account (or subject)")
    action.add_argument("--client", metavar="CLIENT_ID", help="only those of this client")


def show(options: argparse.Namespace) -> int:
    """Print grants."""
    now = int(time.time())

    async def operation(store: Store) -> list[GrantListing]:
        return await _select(store, options, live_at=None if options.all else now)

    listings = with_store(operation)
    if not listings:
        say("There are no such grants.")
        return 0
    say(table(_HEADER, [_row(listing, now=now) for listing in listings]))
    return 0


def revoke(options: argparse.Namespace) -> int:
    """Revoke grants. Exit code 1 when one of those named does not exist, 2 when none is named."""
    if not (options.grant_ids or options.user or options.client):
        complain("Name what to revoke: a GRANT, --user or --client; gatepost grants list shows what there is.")
        return 2
    revoked, unknown = with_store(lambda store: _revoke(store, options, now=int(time.time())))
    for grant_id in unknown:
        complain(f"There is no grant {grant_id}; see gatepost grants list.")
    say(f"Revoked {revoked} grant{'' if revoked == 1 else 's'}.")
    return 1 if unknown else 0


async def _revoke(store: Store, options: argparse.Namespace, *, now: int) -> tuple[int, list[str]]:
    """Return how many were revoked, and which of those named do not exist."""
    from gatepost.oauth.reasons import Reason  # noqa: PLC0415 - with the rest of the work

    reason = Reason.OPERATOR_REVOKED.value
    unknown = [
        grant_id
        for grant_id in options.grant_ids
        if not await store.grants.revoke_grant(grant_id, reason=reason, now=now)
    ]
    revoked = len(options.grant_ids) - len(unknown)
    # List after list until nothing is left: one that is cut off would leave somebody in.
    while (options.user or options.client) and (listings := await _select(store, options, live_at=now)):
        for listing in listings:
            await store.grants.revoke_grant(listing.grant.grant_id, reason=reason, now=now)
        revoked += len(listings)
    return revoked, unknown


async def _select(store: Store, options: argparse.Namespace, *, live_at: int | None) -> list[GrantListing]:
    return await store.approvals.list_grants(
        live_at=live_at,
        subject=None if options.user is None else await subject_of(store, options.user),
        client_id=options.client,
        limit=_MOST,
    )


async def subject_of(store: Store, name: str) -> str:
    """Return the subject of the account `name`; what is no account's name is a subject itself."""
    from gatepost.identity.usernames import canonical_username  # noqa: PLC0415 - with the rest of the work

    try:
        user = await store.users.find_user(canonical_username(name))
    except ValueError:
        return name
    return name if user is None else user.subject


_HEADER = ("GRANT", "USER", "CLIENT", "RESOURCE", "SCOPES", "CREATED", "STATE")


def _row(listing: GrantListing, *, now: int) -> tuple[str, ...]:
    from gatepost.oauth.display_text import inert_text  # noqa: PLC0415 - with the rest of the work

    grant = listing.grant
    return (
        grant.grant_id,
        listing.username or grant.subject,
        f"{inert_text(listing.client_name)} ({grant.client_id})" if listing.client_name else grant.client_id,
        grant.resource,
        " ".join(grant.scopes),
        moment(grant.created_at),
        _state(listing, now=now),
    )


def _state(listing: GrantListing, *, now: int) -> str:
    grant = listing.grant
    if grant.revoked_at is not None:
        return f"revoked {moment(grant.revoked_at)}: {grant.revoked_reason}"
    return f"{'over' if grant.expires_at <= now else 'until'} {moment(grant.expires_at)}"
