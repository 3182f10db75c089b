"""`gatepost upstream …`: whose tokens of login providers elsewhere are kept for tools, and ending them."""

from __future__ import annotations

import argparse
import time

from gatepost.cli.accounts import subject_of
from gatepost.cli.open_store import audit, store_read, with_store
from gatepost.cli.terminal import Actions, CommandRefused, moment, say, say_list
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.upstream_tokens import KeptTokens

_MOST = 1000
"""Rows in one list; more is no use to a person."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `upstream`."""
    actions = Actions(parser)
    listing = actions.add_list(
        show, "show whose tokens are kept", description="Show whose tokens of login providers are kept; never tokens."
    )
    listing.add_argument("--user", metavar="NAME", help="only those of this account (or subject)")
    ending = actions.add(
        "end",
        end,
        "end a person's tokens",
        description="End what is kept of a person's tokens, at once and for every process. "
        "The provider is not told: in its own settings the person can end what it gave.",
    )
    ending.add_argument("user", metavar="NAME", help="an account, or the subject that the list shows")
    ending.add_argument("--provider", metavar="PROVIDER", help="only those of this login provider")


def show(options: argparse.Namespace) -> None:
    """Print whose tokens are kept."""
    now = int(time.time())
    say_list(
        with_store(lambda store: _rows(store, options.user, now=now)),
        as_json=options.json,
        if_empty=f"There are no tokens of login providers in {store_read()}.",
    )


def end(options: argparse.Namespace) -> None:
    """End a person's tokens; refused with exit code 1 when there are none."""
    ended = with_store(lambda store: _end(store, options))
    if not ended:
        raise CommandRefused("Nothing of that is kept; see gatepost upstream list.")
    say(f"Ended what was kept of {', '.join(kept.provider for kept in ended)}.")


async def _end(store: Store, options: argparse.Namespace) -> list[KeptTokens]:
    subject = await subject_of(store, options.user)
    ended = await store.upstream_tokens.end_tokens(subject, provider=options.provider)
    if ended:
        await audit(store, AuditEvent.UPSTREAM_TOKENS_ENDED, reason=Reason.OPERATOR_REVOKED, subject=subject)
    return ended


async def _rows(store: Store, user: str | None, *, now: int) -> list[dict[str, object]]:
    subject = None if user is None else await subject_of(store, user)
    names = {user.subject: user.name for user in await store.users.list_users()}
    listed = await store.upstream_tokens.list_tokens(subject, limit=_MOST)
    return [_row(kept, display_text(names.get(kept.subject, "")), now=now) for kept in listed]


def _row(kept: KeptTokens, name: str, *, now: int) -> dict[str, object]:
    if kept.expires_at is None:
        state = "without an end"
    else:
        over = kept.expires_at <= now
        state = f"{'over' if over else 'until'} {moment(kept.expires_at)}{', renewed' if kept.is_refreshable else ''}"
    return {
        "user": name or kept.subject,
        "subject": kept.subject,
        "provider": kept.provider,
        "account": display_text(kept.external_subject),
        "scopes": list(kept.scopes),
        "linked": moment(kept.linked_at),
        "state": state,
    }
