"""`gatepost keys …`: the keys that sign access tokens."""

from __future__ import annotations

import argparse
import secrets
import time

from gatepost.cli.open_store import audit, store_read, with_store
from gatepost.cli.terminal import Actions, CommandRefused, moment, say, say_list
from gatepost.configuration.deployment import key_file
from gatepost.configuration.sealing_keys import check_key_ring, make_key_ring
from gatepost.configuration.settings import Settings, load_settings
from gatepost.oauth.audit import AuditEvent
from gatepost.stores.contract.keys import KeyRetirement, SealedSigningKey
from gatepost.stores.contract.store import Store
from gatepost.stores.signing_keys import rotate as rotate_signing_key
from gatepost.stores.signing_keys import states
from gatepost.tokens.sealing import KeyRing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `keys`."""
    actions = Actions(parser)
    actions.add_list(show, "show the keys", description="Show the keys, in the order they sign.")
    rotating = actions.add(
        "rotate",
        rotate,
        "add a key that replaces the others",
        description="Publish a new key, let it sign in a while, and end the others when their last token is dead.",
    )
    rotating.add_argument(
        "--now", action="store_true", help="sign with it at once: verifiers that keep the old list refuse until then"
    )
    retiring = actions.add(
        "retire",
        retire,
        "end a key at once",
        description="End a key at once: its tokens stop counting here within a minute.",
    )
    retiring.add_argument("key_id", metavar="KEY", help="as gatepost keys list shows it")


def show(options: argparse.Namespace) -> None:
    """Print the keys that have not ended."""
    now = int(time.time())
    keys = with_store(lambda store: store.keys.signing_keys(now=now))
    say_list(
        [
            {
                "key": key.key_id,
                "algorithm": key.algorithm,
                "signs_from": moment(key.signs_from),
                "ends": moment(key.ends_at),
                "state": state,
            }
            for key, state in zip(keys, states(keys, now=now), strict=True)
        ],
        as_json=options.json,
        if_empty="There are no signing keys: a server with OAUTH_ACCESS_TOKEN_FORMAT=jwt makes one when it starts. "
        f"This was read from {store_read()}.",
    )


def rotate(options: argparse.Namespace) -> None:
    """Add a key."""
    settings = load_settings()
    key = with_store(lambda store: _rotate(store, settings, at_once=options.now))
    say(f"Published {key.key_id}; it signs from {moment(key.signs_from)} on.")


async def _rotate(store: Store, settings: Settings, *, at_once: bool) -> SealedSigningKey:
    sealed = await rotate_signing_key(
        store.keys,
        await own_key_ring(store, settings),
        algorithm=settings.oauth.signing_algorithm,
        token_lifetime=settings.oauth.access_token_ttl,
        now=int(time.time()),
        random_bytes=secrets.token_bytes,
        at_once=at_once,
    )
    await audit(store, AuditEvent.SIGNING_KEY_ROTATED)
    return sealed


async def own_key_ring(store: Store, settings: Settings) -> KeyRing:
    """Return the ring that the server uses on this store.

    Raises:
        SettingsError: it is not the one that the store's contents are sealed under.
    """
    file = key_file(settings)
    ring = make_key_ring(settings, file=file, random_bytes=secrets.token_bytes)
    await check_key_ring(ring, store, file=file, now=int(time.time()), random_bytes=secrets.token_bytes)
    return ring


def retire(options: argparse.Namespace) -> None:
    """End a key, unless none would be left to sign."""
    with_store(lambda store: _retire(store, options.key_id, now=int(time.time())))
    say(f"Retired {options.key_id}; its tokens do not count any more.")


async def _retire(store: Store, key_id: str, *, now: int) -> None:
    outcome = await store.keys.retire_signing_key(key_id, now=now)
    if outcome is KeyRetirement.UNKNOWN:
        raise CommandRefused(f"There is no key {key_id}; see gatepost keys list.")
    if outcome is KeyRetirement.ALONE:
        raise CommandRefused("No other key would go on signing: gatepost keys rotate --now adds one that does.")
    await audit(store, AuditEvent.SIGNING_KEY_RETIRED)
