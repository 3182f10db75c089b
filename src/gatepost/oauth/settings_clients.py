"""Clients that the operator's settings name: what has to change so that the store holds those and no others.

The settings decide. A client that they no longer name is removed with all that it was granted, and one that they change
keeps its grants except those that it could not get any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gatepost.oauth.preregistration import CLIENT_CREDENTIALS
from gatepost.oauth.records import Client, ClientOrigin, Grant


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What has to be done about the clients of the settings, or what has been done."""

    added: tuple[Client, ...] = ()
    changed: tuple[Client, ...] = ()
    """As they are from now on."""
    removed: tuple[str, ...] = ()
    """Client ids."""
    taken: tuple[str, ...] = ()
    """Client ids that a client of another origin has. If there are any, nothing is done."""


def reconcile(kept: Mapping[str, Client], wanted: Sequence[Client]) -> Reconciliation:
    """Return what has to be done.

    Args:
        kept: by its id, every client that came from the settings or has an id that is wanted.
        wanted: what the settings name, each id once, all of origin `SETTINGS` and enabled.
    """
    taken = tuple(
        client.client_id
        for client in wanted
        if client.client_id in kept and kept[client.client_id].origin is not ClientOrigin.SETTINGS
    )
    if taken:
        return Reconciliation(taken=taken)
    aged = [
        replace(client, created_at=kept[client.client_id].created_at) for client in wanted if client.client_id in kept
    ]
    return Reconciliation(
        added=tuple(client for client in wanted if client.client_id not in kept),
        changed=tuple(client for client in aged if client != kept[client.client_id]),
        removed=tuple(sorted(kept.keys() - {client.client_id for client in wanted})),
    )


def lost_grants(client: Client, grants: Iterable[Grant]) -> list[str]:
    """Return the ids of those of a client's `grants` that it could not get as it is now.

    The scopes of a person's grant are what that person agreed to, and `client.scope` is no ceiling for them (see
    `authorization.requested_scopes`); for a grant to itself it is the most the client can have.
    """
    is_machine, ceiling = CLIENT_CREDENTIALS in client.grant_types, client.scope
    return [
        grant.grant_id
        for grant in grants
        if (
            not is_machine or (ceiling is not None and not set(grant.scopes) <= set(ceiling.split()))
            if grant.subject == client.client_id
            else not serves_people(client)
        )
    ]


def serves_people(client: Client) -> bool:
    """Say whether people can give this client access."""
    return "authorization_code" in client.grant_types
