"""`gatepost keys …`: the keys that sign access tokens, and the sealing key that what is kept sealed comes under."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from gatepost.cli.open_store import audit, store_read, with_store
from gatepost.cli.terminal import Actions, CommandRefused, moment, say, say_beside, say_list, say_table
from gatepost.configuration.deployment import key_file
from gatepost.configuration.sealing_keys import check_key_ring, make_key_ring
from gatepost.configuration.settings import Settings, load_settings
from gatepost.oauth.audit import AuditEvent
from gatepost.stores.contract.keys import KeyRetirement, SealedSigningKey
from gatepost.stores.contract.store import Store
from gatepost.stores.resealing import Resealed, reseal_everything
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
    retiring.add_argument(
        "key_id", metavar="KEY", help="as gatepost keys list shows it; after -- if it begins with a hyphen"
    )
    actions.add(
        "reseal",
        reseal,
        "seal everything anew under the first sealing key",
        description="Seal everything that the store keeps sealed anew under the first key of MCP_SEALING_KEYS, so that "
        "the others can be taken out. Servers may be running, with all of these keys. If it is interrupted, do it "
        "again: what is done is passed over. Exit code 1: something does not open with these keys.",
    )


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


def reseal(_options: argparse.Namespace) -> None:
    """Seal everything anew and say how much that was."""
    settings = load_settings()
    file = key_file(settings)
    if settings.server.sealing_keys is None and not file.exists():
        raise CommandRefused(f"There is no sealing key: MCP_SEALING_KEYS is not set, and there is no {file}.")
    ring = make_key_ring(settings, file=file, random_bytes=secrets.token_bytes)
    done = with_store(lambda store: _reseal(store, ring, settings))
    if sys.stderr.isatty():
        say_beside()  # ends the line of the progress
    say_table(
        ("SEALED", "LOOKED AT", "SEALED ANEW", "NOT OPENED"),
        [(kind.what, str(kind.looked_at), str(kind.sealed_anew), str(kind.unopened)) for kind in done],
    )
    if any(kind.unopened for kind in done):
        raise CommandRefused(
            "What is not opened was altered, or its key is not at hand: gatepost store check says which key. It stays "
            "as it is."
        )
    say(f"Everything is sealed under {ring.key_ids[0]}.")


async def _reseal(store: Store, ring: KeyRing, settings: Settings) -> list[Resealed]:
    now, file, random_bytes = int(time.time()), key_file(settings), secrets.token_bytes
    done: list[Resealed] = []
    # With the wrong keys nothing would open; they are refused below with the name of the one that is missing.
    if await store.keys.sealing_key_id() in {None, *ring.key_ids}:
        done = await reseal_everything(store, ring, now=now, random_bytes=random_bytes, progress=_show)
    await check_key_ring(ring, store, file=file, now=now, random_bytes=random_bytes)
    return done


def _show(done: Resealed) -> None:
    """Say how far it is, on a terminal only."""
    if sys.stderr.isatty():
        say_beside(f"\r{done.what}: {done.looked_at}\033[K", end="")
