"""`gatepost keys …`: the keys that sign access tokens."""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gatepost.cli.open_store import with_store
from gatepost.cli.output import complain, moment, say, table

if TYPE_CHECKING:
    from gatepost.configuration.settings import Settings
    from gatepost.stores.contract.keys import SealedSigningKey
    from gatepost.stores.contract.store import Store
    from gatepost.tokens.keyring import KeyRing


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `keys` and its actions."""
    words = "manage the keys that sign access tokens"
    parser = commands.add_parser("keys", help=words, description=words.capitalize() + ".")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="show the keys", description="Show the keys, in the order they sign.")
    listing.set_defaults(run=show)
    rotating = actions.add_parser(
        "rotate",
        help="add a key that replaces the others",
        description="Publish a new key, let it sign in a while, and end the others when their last token is dead.",
    )
    rotating.add_argument(
        "--now", action="store_true", help="sign with it at once: verifiers that keep the old list refuse until then"
    )
    rotating.set_defaults(run=rotate)
    retiring = actions.add_parser(
        "retire",
        help="end a key at once",
        description="End a key at once: its tokens stop counting here within a minute.",
    )
    retiring.add_argument("key_id", metavar="KEY", help="as gatepost keys list shows it")
    retiring.set_defaults(run=retire)


def show(_options: argparse.Namespace) -> int:
    """Print the keys that have not ended."""
    now = int(time.time())
    keys = with_store(lambda store: store.keys.signing_keys(now=now))
    if not keys:
        say("There are no signing keys. A server with OAUTH_ACCESS_TOKEN_FORMAT=jwt makes one when it starts.")
        return 0
    signing = _signing(keys, now=now)
    rows = [
        (
            key.key_id,
            key.algorithm,
            moment(key.signs_from),
            moment(key.ends_at),
            "signs" if key is signing else "published" if key.signs_from > now else "verifies",
        )
        for key in keys
    ]
    say(table(("KEY", "ALGORITHM", "SIGNS FROM", "ENDS", "STATE"), rows))
    return 0


def rotate(options: argparse.Namespace) -> int:
    """Add a key."""
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - with the rest of the work

    settings = load_settings()
    key = with_store(lambda store: _rotate(store, settings, at_once=options.now))
    say(f"Published {key.key_id}; it signs from {moment(key.signs_from)} on.")
    return 0


async def _rotate(store: Store, settings: Settings, *, at_once: bool) -> SealedSigningKey:
    from gatepost.stores.signing_keys import (  # noqa: PLC0415 - with the rest of the work
        PUBLISHED_FIRST,
        RELOAD_AFTER,
        sealed_signing_key,
    )
    from gatepost.tokens.signing import generate_signing_key  # noqa: PLC0415 - likewise

    now = int(time.time())
    key = generate_signing_key(settings.oauth.signing_algorithm, secrets.token_bytes)
    sealed = sealed_signing_key(
        key,
        await own_key_ring(store, settings),
        now=now,
        signs_from=now if at_once else now + PUBLISHED_FIRST,
        random_bytes=secrets.token_bytes,
    )
    # A process may sign with the old key until it looks again; after that its last token lives for one lifetime.
    last_token = sealed.signs_from + RELOAD_AFTER + settings.oauth.access_token_ttl
    await store.keys.rotate_signing_key(sealed, others_end_at=last_token)
    return sealed


async def own_key_ring(store: Store, settings: Settings) -> KeyRing:
    """Return the ring that the server uses on this store.

    Raises:
        SettingsError: it is not the one that the store's contents are sealed under.
    """
    from gatepost.configuration.deployment import key_file  # noqa: PLC0415 - with the rest of the work
    from gatepost.configuration.sealing_keys import check_key_ring, make_key_ring  # noqa: PLC0415 - likewise

    ring = make_key_ring(settings, file=key_file(settings), random_bytes=secrets.token_bytes)
    await check_key_ring(ring, store.keys, now=int(time.time()), random_bytes=secrets.token_bytes)
    return ring


def retire(options: argparse.Namespace) -> int:
    """End a key. Exit code 1 when there is none, or none would be left to sign."""
    complaint = with_store(lambda store: _retire(store, options.key_id, now=int(time.time())))
    if complaint is not None:
        complain(complaint)
        return 1
    say(f"Retired {options.key_id}; its tokens do not count any more.")
    return 0


async def _retire(store: Store, key_id: str, *, now: int) -> str | None:
    """Return why not, or None when it is done."""
    keys = await store.keys.signing_keys(now=now)
    if key_id not in {key.key_id for key in keys}:
        return f"There is no key {key_id}; see gatepost keys list."
    if not any(key.signs_from <= now for key in keys if key.key_id != key_id):
        return "No other key signs yet: gatepost keys rotate --now adds one that does."
    await store.keys.retire_signing_key(key_id, now=now)
    return None


def _signing(keys: Sequence[SealedSigningKey], *, now: int) -> SealedSigningKey:
    ready = [key for key in keys if key.signs_from <= now]
    return ready[-1] if ready else keys[0]
