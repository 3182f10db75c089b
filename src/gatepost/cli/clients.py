"""`gatepost clients …`: clients that the operator registers, and shutting any client out."""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.cli.open_store import with_store
from gatepost.cli.output import complain, moment, say, table

if TYPE_CHECKING:
    from gatepost.oauth.records import Client
    from gatepost.stores.contract.clients import ClientStore
    from gatepost.stores.contract.store import Store

_METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `clients` and its actions."""
    parser = commands.add_parser("clients", help="manage clients", description="Manage clients.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_add(actions)
    listing = actions.add_parser("list", help="show all clients", description="Show all clients, the oldest first.")
    listing.set_defaults(run=show_all)
    for name, run, words in (
        ("show", show, "show what a client registered"),
        ("rotate-secret", rotate_secret, "give a client a new secret; the old one is dead at once"),
        ("disable", disable, "shut a client out and revoke what it was granted; its id may be a document's URL"),
        ("remove", remove, "remove a client and revoke what it was granted"),
    ):
        action = actions.add_parser(name, help=words, description=words.capitalize() + ".")
        action.add_argument("client_id", metavar="CLIENT_ID")
        action.set_defaults(run=run)


def _add_add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    adding = actions.add_parser("add", help="register a client", description="Register a client.")
    adding.add_argument("name", metavar="NAME", help="what people see on the consent page")
    adding.add_argument("--redirect-uri", action="append", default=[], metavar="URI", help="may be given several times")
    adding.add_argument(
        "--machine", action="store_true", help="it may ask for tokens for itself (client_credentials), without a user"
    )
    adding.add_argument(
        "--auth-method", choices=_METHODS, help="default: none; client_secret_basic or private_key_jwt with --machine"
    )
    adding.add_argument("--jwks", metavar="FILE", type=Path, help="its public keys, a JWK set (private_key_jwt)")
    adding.add_argument("--jwks-uri", metavar="URL", help="where its public keys are (private_key_jwt)")
    adding.add_argument("--scope", metavar="SCOPES", help="separated by spaces; with --machine the most it can get")
    adding.set_defaults(run=add)


def add(options: argparse.Namespace) -> int:
    """Register a client and print its id and, this once, its secret. Exit code 1 when something is refused."""
    from gatepost.oauth.errors import OAuthError  # noqa: PLC0415 - with the rest of the work
    from gatepost.oauth.preregistration import read_preregistration  # noqa: PLC0415 - likewise
    from gatepost.oauth.records import ClientOrigin  # noqa: PLC0415 - likewise
    from gatepost.oauth.registration import new_client  # noqa: PLC0415 - likewise
    from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint  # noqa: PLC0415 - likewise

    try:
        metadata = read_preregistration(_document(options), is_machine=options.machine)
    except OAuthError as error:
        complain(error.description)
        return 1
    except (OSError, ValueError):
        complain("--jwks takes a readable file that holds JSON.")
        return 1
    secret = mint(SecretKind.CLIENT_SECRET, secrets.token_bytes) if metadata.needs_secret else None
    client = new_client(
        metadata,
        client_id=identifier("client_", secrets.token_bytes),
        secret_fingerprint=None if secret is None else fingerprint(secret),
        now=int(time.time()),
        origin=ClientOrigin.PREREGISTERED,
    )
    _change(lambda clients: _registered(clients, client), event="client_added", client_id=client.client_id)
    say(f"client_id      {client.client_id}")
    if secret is not None:
        say(f"client_secret  {secret}\nThe secret is shown this once.")
    return 0


def show_all(_options: argparse.Namespace) -> int:
    """Print all clients."""
    clients = with_store(lambda store: store.clients.list_clients())
    if not clients:
        say("There are no clients yet. They register when they connect; gatepost clients add registers one by hand.")
        return 0
    rows = [
        (client.client_id, client.client_name, client.origin.value, moment(client.created_at), _state(client))
        for client in clients
    ]
    say(table(("CLIENT ID", "NAME", "ORIGIN", "SINCE", "STATE"), rows))
    return 0


def show(options: argparse.Namespace) -> int:
    """Print what a client registered. Exit code 1 when there is none."""
    client = with_store(lambda store: store.clients.find_client(options.client_id))
    if client is None:
        return _unknown(options.client_id)
    for name, value in (
        ("client_id", client.client_id),
        ("name", client.client_name),
        ("origin", client.origin.value),
        ("state", _state(client)),
        ("since", moment(client.created_at)),
        ("redirect URIs", " ".join(client.redirect_uris) or "-"),
        ("grant types", " ".join(client.grant_types)),
        ("authentication", client.token_endpoint_auth_method),
        ("keys", client.jwks_uri or ("inline" if client.jwks else "-")),
        ("scope", client.scope or "(the default)"),
    ):
        say(f"{name:<15}{value}")
    return 0


def rotate_secret(options: argparse.Namespace) -> int:
    """Give a client a new secret and print it. Exit code 1 when there is none, or it has no secret."""
    from gatepost.tokens.opaque import SecretKind, fingerprint, mint  # noqa: PLC0415 - with the rest of the work

    secret = mint(SecretKind.CLIENT_SECRET, secrets.token_bytes)
    if not _change(
        lambda clients: clients.rotate_client_secret(options.client_id, fingerprint(secret)),
        event="client_secret_rotated",
        client_id=options.client_id,
    ):
        complain(f"There is no client {options.client_id} with a secret; see gatepost clients list.")
        return 1
    say(f"client_secret  {secret}\nThe secret is shown this once; the old one is dead.")
    return 0


def disable(options: argparse.Namespace) -> int:
    """Disable a client, also one that is known by a document. Exit code 1 when there is none."""
    now, client_id = int(time.time()), options.client_id
    placeholder = _placeholder(client_id, now=now)
    if not _change(
        lambda clients: clients.disable_client(client_id, now=now, placeholder=placeholder),
        event="client_disabled",
        client_id=client_id,
    ):
        return _unknown(client_id)
    say(f"Disabled {client_id}; what it was granted is revoked. A running server notices within five seconds.")
    return 0


def remove(options: argparse.Namespace) -> int:
    """Remove a client. Exit code 1 when there is none."""
    client_id = options.client_id
    if not _change(
        lambda clients: clients.remove_client(client_id, now=int(time.time())),
        event="client_removed",
        client_id=client_id,
    ):
        return _unknown(client_id)
    say(f"Removed {client_id}; what it was granted is revoked. A running server notices within five seconds.")
    return 0


def _change(operation: Callable[[ClientStore], Awaitable[bool]], *, event: str, client_id: str) -> bool:
    """Run one operation on the clients; when it says that something was done, `event` goes to the audit trail."""
    from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome, event_id  # noqa: PLC0415 - with the rest

    async def run(store: Store) -> bool:
        await _refuse_of_settings(store, client_id)
        is_done = await operation(store.clients)
        if is_done:
            now = int(time.time())
            record = AuditRecord(
                event_id=event_id(at=now, sequence=0, random=secrets.token_bytes(6)),
                at=now,
                event=AuditEvent(event),
                outcome=Outcome.OK,
                client_id=client_id,
                address="terminal",
            )
            await store.audit.append_events([record])
        return is_done

    return with_store(run)


async def _refuse_of_settings(store: Store, client_id: str) -> None:
    """Refuse to change a client that the settings name: the next start would undo it.

    Raises:
        SettingsError: it is one.
    """
    from gatepost.configuration.settings import SettingsError, load_settings  # noqa: PLC0415 - likewise
    from gatepost.oauth.records import ClientOrigin  # noqa: PLC0415 - with the rest of the work

    client = await store.clients.find_client(client_id)
    if client is not None and client.origin is ClientOrigin.SETTINGS:
        file = load_settings().registration.clients_file or "the file that the server's OAUTH_CLIENTS_FILE names"
        raise SettingsError(
            f"{client_id} is kept as the settings say: change or delete its entry in {file} and restart the server."
        )


async def _registered(clients: ClientStore, client: Client) -> bool:
    await clients.register_client(client)
    return True


def _document(options: argparse.Namespace) -> dict[str, object]:
    """Return the options as client metadata (RFC 7591)."""
    has_keys = options.jwks is not None or options.jwks_uri is not None
    method = options.auth_method
    if method is None and has_keys:
        method = "private_key_jwt"
    elif method is None and options.machine:
        method = "client_secret_basic"
    return {
        "client_name": options.name,
        "redirect_uris": options.redirect_uri,
        "token_endpoint_auth_method": method,
        "jwks": None if options.jwks is None else json.loads(options.jwks.read_text(encoding="utf-8")),
        "jwks_uri": options.jwks_uri,
        "scope": options.scope,
    }


def _placeholder(client_id: str, *, now: int) -> Client | None:
    """Return what is kept of a client that is known by a document, so that there is something to disable."""
    from gatepost.oauth.client_documents import is_document_url  # noqa: PLC0415 - with the rest of the work
    from gatepost.oauth.records import Client, ClientOrigin  # noqa: PLC0415 - likewise

    if not is_document_url(client_id):
        return None
    return Client(
        client_id=client_id,
        client_name="(known by its document)",
        redirect_uris=(),
        grant_types=(),
        response_types=(),
        token_endpoint_auth_method="none",  # noqa: S106 - a method, not a password
        application_type="web",
        scope=None,
        client_uri=None,
        logo_uri=None,
        secret_fingerprint=None,
        created_at=now,
        origin=ClientOrigin.DOCUMENT,
    )


def _state(client: Client) -> str:
    return "active" if client.disabled_at is None else f"disabled {moment(client.disabled_at)}"


def _unknown(client_id: str) -> int:
    complain(f"There is no client {client_id}; see gatepost clients list.")
    return 1
