"""`gatepost clients …`: clients that the operator registers, and shutting any client out."""

from __future__ import annotations

import argparse
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from gatepost.cli.open_store import audit, store_read, with_store
from gatepost.cli.terminal import Actions, CommandRefused, add_search, moment, say, say_list, say_record
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.client_authentication import METHODS_SUPPORTED
from gatepost.oauth.errors import OAuthError
from gatepost.oauth.operator_clients import placeholder_of, preregistration, read_preregistration
from gatepost.oauth.policy import LONGEST_REUSE
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.oauth.registration import new_client
from gatepost.oauth.token_exchange import read_endpoints
from gatepost.observability.audit_trail import last_use_of_client
from gatepost.stores.contract.clients import ClientStore
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint

_OPTIONS: Final = {
    "client_name": "NAME",
    "redirect_uris": "--redirect-uri",
    "redirect_uri": "--redirect-uri",
    "token_endpoint_auth_method": "--auth-method",
    "jwks": "--jwks",
    "jwks_uri": "--jwks-uri",
    "scope": "--scope",
}
"""What is called how here, of the members of client metadata (RFC 7591 section 2) that errors name."""
_MOST: Final = 1000
"""Clients that a search finds; more is no use to a person."""
_OPTION: Final = re.compile(rf"\b(?:{'|'.join(_OPTIONS)})\b")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `clients`."""
    actions = Actions(parser)
    adding = actions.add("add", add, "register a client")
    adding.add_argument("name", metavar="NAME", help="what people see on the consent page")
    adding.add_argument("--redirect-uri", action="append", default=[], metavar="URI", help="may be given several times")
    adding.add_argument(
        "--machine", action="store_true", help="it may ask for tokens for itself (client_credentials), without a user"
    )
    adding.add_argument(
        "--device", action="store_true", help="it may log people in by a code that it shows (OAUTH_DEVICE_LOGIN)"
    )
    for option, what in (("--exchange-from", "that are sent to it"), ("--exchange-to", "for which it may get tokens")):
        adding.add_argument(
            option,
            action="append",
            default=[],
            metavar="PATH",
            help=f"it may exchange tokens (OAUTH_TOKEN_EXCHANGE): the endpoint {what}; may be given several times",
        )
    adding.add_argument(
        "--enterprise-managed",
        action="store_true",
        help="an identity provider may say for whom it acts (OAUTH_ID_JAG_ISSUERS); it has to authenticate",
    )
    adding.add_argument(
        "--dpop", action="store_true", help="it gets tokens that are bound to a key and no others (RFC 9449)"
    )
    adding.add_argument(
        "--require-par", action="store_true", help="its authorization requests count only if pushed (RFC 9126)"
    )
    adding.add_argument(
        "--auth-method",
        choices=METHODS_SUPPORTED,
        help="default: none; client_secret_basic or private_key_jwt with --machine and --enterprise-managed",
    )
    adding.add_argument("--jwks", metavar="FILE", type=Path, help="its public keys, a JWK set (private_key_jwt)")
    adding.add_argument("--jwks-uri", metavar="URL", help="where its public keys are (private_key_jwt)")
    adding.add_argument("--scope", metavar="SCOPES", help="separated by spaces; with --machine the most it can get")
    adding.add_argument(
        "--refresh-reuse",
        type=_reuse,
        metavar="SECONDS",
        help="for how long a spent refresh token of it may still be used; default: as OAUTH_REFRESH_REUSE says",
    )
    add_search(actions.add_list(show_all, "show all clients", description="Show all clients, the oldest first."))
    for name, run, words in (
        ("show", show, "show what a client registered"),
        ("rotate-secret", rotate_secret, "give a client a new secret; the old one is dead at once"),
        ("disable", disable, "shut a client out and revoke what it was granted; its id may be a document's URL"),
        ("enable", enable, "let a disabled client in again; what was revoked stays so"),
        ("remove", remove, "remove a client and revoke what it was granted"),
    ):
        actions.add(name, run, words).add_argument("client_id", metavar="CLIENT_ID")
    reuse = actions.add("refresh-reuse", set_refresh_reuse, "say for how long its spent refresh tokens may be used")
    reuse.add_argument("client_id", metavar="CLIENT_ID")
    reuse.add_argument(
        "seconds", metavar="SECONDS", type=_reuse, help="0 is never; default: as OAUTH_REFRESH_REUSE says"
    )


def add(options: argparse.Namespace) -> None:
    """Register a client and print its id and, this once, its secret."""
    exchange_from, exchange_to = _exchanges(options)
    may_ask = options.redirect_uri or options.machine or options.device or options.enterprise_managed
    if not (may_ask or exchange_from):
        raise CommandRefused(
            "--redirect-uri is missing: the address to which the app has its user's browser sent back, once for each. "
            "An app on devices without a browser takes --device, one whose users an identity provider names takes "
            "--enterprise-managed, and a client without users --machine."
        )
    try:
        metadata = read_preregistration(
            _document(options),
            is_machine=options.machine,
            is_enterprise_managed=options.enterprise_managed,
            exchanges=bool(exchange_from),
        )
    except OAuthError as error:
        raise CommandRefused(_OPTION.sub(lambda member: _OPTIONS[member[0]], error.description)) from None
    except (OSError, ValueError):
        raise CommandRefused("--jwks takes a readable file that holds JSON.") from None
    secret = mint(SecretKind.CLIENT_SECRET, secrets.token_bytes) if metadata.needs_secret else None
    client = new_client(
        metadata,
        client_id=identifier("client_", secrets.token_bytes),
        secret_fingerprint=None if secret is None else fingerprint(secret),
        now=int(time.time()),
        origin=ClientOrigin.PREREGISTERED,
        refresh_reuse=options.refresh_reuse,
        requires_pushed_requests=options.require_par,
        exchange_from=exchange_from,
        exchange_to=exchange_to,
    )

    async def register(store: Store) -> None:
        await store.clients.register_client(client)
        await audit(store, AuditEvent.CLIENT_ADDED, client_id=client.client_id)

    with_store(register, may_create=True)
    say(f"client_id      {client.client_id}")
    if secret is not None:
        say(f"client_secret  {secret}\nThe secret is shown this once.")


def show_all(options: argparse.Namespace) -> None:
    """Print clients."""
    found = with_store(lambda store: _find(store, options.search))
    say_list(
        [
            {
                "client_id": client.client_id,
                "name": client.client_name,
                "origin": client.origin.value,
                "since": moment(client.created_at),
                "state": _state(client),
            }
            for client in found
        ],
        as_json=options.json,
        if_empty=f"No client is called so in {store_read()}."
        if options.search
        else "There are no clients yet: they register when they connect; gatepost clients add registers one. "
        f"This was read from {store_read()}.",
    )


def show(options: argparse.Namespace) -> None:
    """Print what a client registered, and when it was used."""
    client, last_used = with_store(lambda store: _read(store, options.client_id))
    say_record(
        {
            "client_id": client.client_id,
            "name": client.client_name,
            "origin": client.origin.value,
            "state": _state(client),
            "since": moment(client.created_at),
            "last used": moment(last_used),
            "redirect URIs": [*client.redirect_uris],
            "grant types": [*client.grant_types],
            "authentication": client.token_endpoint_auth_method,
            "keys": client.jwks_uri or ("inline" if client.jwks else None),
            "scope": client.scope or "(the default)",
            "tokens": "bound to a key" if client.dpop_bound_access_tokens else "bearer, or bound to a key",
            "pushed requests": "required" if client.requires_pushed_requests else "possible",
            **(
                {"exchanges tokens of": [*client.exchange_from], "exchanges tokens for": [*client.exchange_to]}
                if client.exchange_from
                else {}
            ),
            "refresh reuse": _reuse_of(client),
        }
    )


async def _read(store: Store, client_id: str) -> tuple[Client, int | None]:
    client = await store.clients.find_client(client_id)
    if client is None:
        raise _unknown(client_id)
    return client, await last_use_of_client(store.audit, client_id)


async def _find(store: Store, search: str | None) -> list[Client]:
    """Return clients whose name begins so or whose id it is, by name; without a search all, the oldest first."""
    if not search:
        return await store.clients.list_clients()
    named = await store.clients.find_client(search)
    if named is not None:
        return [named]
    return await store.administration.list_clients(name_begins=search, after=None, limit=_MOST)


def rotate_secret(options: argparse.Namespace) -> None:
    """Give a client that has a secret a new one and print it."""
    client_id, secret = options.client_id, mint(SecretKind.CLIENT_SECRET, secrets.token_bytes)
    _change(
        client_id,
        lambda clients: clients.rotate_client_secret(client_id, fingerprint(secret)),
        event=AuditEvent.CLIENT_SECRET_ROTATED,
        kind=" with a secret",
    )
    say(f"client_secret  {secret}\nThe secret is shown this once; the old one is dead.")


def set_refresh_reuse(options: argparse.Namespace) -> None:
    """Say for how long spent refresh tokens of a client may still be used."""
    client_id, seconds = options.client_id, options.seconds
    _change(
        client_id,
        lambda clients: clients.set_refresh_reuse(client_id, seconds),
        event=AuditEvent.CLIENT_UPDATED,
    )
    words = "as OAUTH_REFRESH_REUSE says" if seconds is None else f"for {seconds} seconds" if seconds else "never"
    say(f"Spent refresh tokens of {client_id} may be used: {words}. A running server notices at the next refresh.")


def disable(options: argparse.Namespace) -> None:
    """Disable a client, also one that is known by a document."""
    now, client_id = int(time.time()), options.client_id
    placeholder = placeholder_of(client_id, now=now)
    _change(
        client_id,
        lambda clients: clients.disable_client(client_id, now=now, placeholder=placeholder),
        event=AuditEvent.CLIENT_DISABLED,
    )
    say(f"Disabled {client_id}; what it was granted is revoked. A running server notices within five seconds.")


def enable(options: argparse.Namespace) -> None:
    """Enable a client."""
    client_id = options.client_id
    _change(client_id, lambda clients: clients.enable_client(client_id), event=AuditEvent.CLIENT_ENABLED)
    say(f"Enabled {client_id}; people have to allow it again.")


def remove(options: argparse.Namespace) -> None:
    """Remove a client."""
    now, client_id = int(time.time()), options.client_id
    _change(client_id, lambda clients: clients.remove_client(client_id, now=now), event=AuditEvent.CLIENT_REMOVED)
    say(f"Removed {client_id}; what it was granted is revoked. A running server notices within five seconds.")


def _change(
    client_id: str, operation: Callable[[ClientStore], Awaitable[bool]], *, event: AuditEvent, kind: str = ""
) -> None:
    """Change a client; `event` goes to the audit trail.

    Raises:
        SettingsError: the settings name it, and the next start would undo the change.
        CommandRefused: `operation` did nothing: there is no client, or none of this kind.
    """

    async def run(store: Store) -> None:
        client = await store.clients.find_client(client_id)
        if client is not None and client.origin is ClientOrigin.SETTINGS:
            file = load_settings().registration.clients_file or "the file that the server's OAUTH_CLIENTS_FILE names"
            raise SettingsError(
                f"{client_id} is kept as the settings say: change or delete its entry in {file} and restart the server."
            )
        if not await operation(store.clients):
            raise _unknown(client_id + kind)
        await audit(store, event, client_id=client_id)

    with_store(run)


def _document(options: argparse.Namespace) -> dict[str, object]:
    """Return the options as client metadata (RFC 7591)."""
    return preregistration(
        options.name,
        redirect_uris=options.redirect_uri,
        is_machine=options.machine,
        is_device=options.device,
        exchanges=bool(options.exchange_from),
        auth_method=options.auth_method,
        jwks=None if options.jwks is None else json.loads(options.jwks.read_text(encoding="utf-8")),
        jwks_uri=options.jwks_uri,
        scope=options.scope,
        is_enterprise_managed=options.enterprise_managed,
        dpop_bound_access_tokens=options.dpop,
    )


def _exchanges(options: argparse.Namespace) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return of which endpoints it may exchange tokens, and for which; both empty where it may not."""
    if bool(options.exchange_from) != bool(options.exchange_to):
        raise CommandRefused("A client that exchanges tokens takes both --exchange-from and --exchange-to.")
    try:
        return read_endpoints(options.exchange_from), read_endpoints(options.exchange_to)
    except ValueError as error:
        raise CommandRefused(f"--exchange-from and --exchange-to: each {error}.") from None


def _reuse(text: str) -> int | None:
    """Return what --refresh-reuse says; None for the server's own."""
    if text == "default":
        return None
    seconds = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= seconds <= LONGEST_REUSE:
        raise argparse.ArgumentTypeError(f"takes seconds from 0 to {LONGEST_REUSE}, or default")
    return seconds


def _reuse_of(client: Client) -> str:
    return "(the default)" if client.refresh_reuse is None else f"{client.refresh_reuse} seconds"


def _state(client: Client) -> str:
    return "active" if client.disabled_at is None else f"disabled {moment(client.disabled_at)}"


def _unknown(client: str) -> CommandRefused:
    return CommandRefused(f"There is no client {client}; see gatepost clients list.")
