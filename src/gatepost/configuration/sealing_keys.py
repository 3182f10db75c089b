"""Where the key ring comes from, and whether it is the right one.

MCP_SEALING_KEYS names the keys. Without it they lie in a file beside the database, which is made at the first start and
is for its owner alone. The store notes which key seals, so that a server with other keys refuses to start rather than
finding out, one request at a time, that it cannot open what it sealed.
"""

from __future__ import annotations

import functools
import os
import secrets
import shlex
from collections.abc import Callable
from pathlib import Path

from gatepost.configuration.settings import Settings, SettingsError
from gatepost.stores.contract.store import Store
from gatepost.stores.signing_keys import SigningKeys, reseal
from gatepost.tokens.opaque import RandomBytes, SecretKind, mint
from gatepost.tokens.sealing import KeyRing, is_key, key_id

_OTHERS = 0o077


def make_key_ring(settings: Settings, *, file: Path | None, random_bytes: RandomBytes) -> KeyRing:
    """Return the key ring: MCP_SEALING_KEYS, or else the key in `file`.

    `file` is None when nothing that is sealed outlives this process.

    Raises:
        SettingsError: as `keys_in_file`.
    """
    if settings.server.sealing_keys is not None:
        return KeyRing(settings.server.sealing_keys.get_secret_value().split())
    if file is None:
        return KeyRing([_key_of_this_process()])
    return KeyRing(keys_in_file(file, random_bytes=random_bytes))


async def check_key_ring(ring: KeyRing, store: Store, *, file: Path, now: int, random_bytes: RandomBytes) -> None:
    """Refuse a ring that lacks the key the store's contents are sealed under; note which key seals from now on.

    What is kept in the store is sealed anew before another key is noted, so that the old one can leave the ring.
    `file` is where a generated key lies, whether it is used or not.

    Raises:
        SettingsError: the ring lacks it.
        StoreMisconfigured: something in the store was altered.
    """
    keys = store.keys
    noted = await keys.sealing_key_id()
    if noted is None or (noted in ring.key_ids and noted != ring.key_ids[0]):
        await reseal(keys, ring, now=now, random_bytes=random_bytes)
        from gatepost.stores.resealing import reseal_everything  # noqa: PLC0415 - nearly no start does

        await reseal_everything(store, ring, now=now, random_bytes=random_bytes)
        noted = await keys.note_sealing_key(ring.key_ids[0], replaces=noted)
    refuse_other_ring(ring, noted, file=file)


def refuse_other_ring(ring: KeyRing, noted: str, *, file: Path) -> None:
    """Refuse a ring that lacks the key that a store has noted; `file` is where a generated key lies.

    Raises:
        SettingsError: the ring lacks it.
    """
    if noted not in ring.key_ids:
        raise SettingsError(f"The store was sealed with the key {noted}, {_where_it_may_be(noted, ring, file)}.")


def _where_it_may_be(missing: str, ring: KeyRing, file: Path) -> str:
    """Say where the key that the ring lacks is, or may be, and what to do; the key itself is not for the screen."""
    try:
        known = {key_id(key) for key in file.read_text(encoding="ascii").split() if is_key(key)}
    except (OSError, UnicodeDecodeError):
        known = set()
    if missing in known:
        return (
            f"which lies in {file} and is not in MCP_SEALING_KEYS: add it behind the others, as in "
            f'export MCP_SEALING_KEYS="$MCP_SEALING_KEYS {contents_of(file)}", and take it out an hour after the '
            "server has been started like that"
        )
    at_hand = ", ".join(ring.key_ids)
    if known.issuperset(ring.key_ids):
        return f"and {file} holds {at_hand}: put the key file that belongs to this store in its place (docs/backup.md)"
    return f"and the keys at hand are {at_hand}: add the missing one to MCP_SEALING_KEYS (docs/backup.md)"


def contents_of(file: Path) -> str:
    """Return what a shell replaces by the keys in the file."""
    return f"$(cat {shlex.quote(str(file))})"


@functools.cache
def _key_of_this_process() -> str:
    """One for the whole process: a memory store may be handed from one app to the next."""
    return mint(SecretKind.SEALING_KEY, secrets.token_bytes)


def signing_keys_of(
    settings: Settings, store: Store, ring: KeyRing, *, now: Callable[[], int], random_bytes: RandomBytes
) -> SigningKeys | None:
    """Return the keys that sign access tokens, not opened yet; None where access tokens are opaque."""
    if settings.oauth.access_token_format == "opaque":
        return None
    algorithm = settings.oauth.signing_algorithm
    return SigningKeys(store=store.keys, ring=ring, algorithm=algorithm, now=now, random_bytes=random_bytes)


def keys_in_file(path: Path, *, random_bytes: RandomBytes) -> tuple[str, ...]:
    """Return the keys in the file at `path`, one a line; a file with one new key is made where there is none.

    Any number of processes may start at once: all of them get the key of the one that was first.

    Raises:
        SettingsError: the file cannot be made or read, others may read it, or it holds something else than keys.
    """
    try:
        if not path.exists():
            _create(path, mint(SecretKind.SEALING_KEY, random_bytes), random_bytes)
        if os.name == "posix" and path.stat().st_mode & _OTHERS:
            raise SettingsError(f"The key file {path} can be read by others: chmod 600 it, or set MCP_SEALING_KEYS.")
        keys = tuple(path.read_text(encoding="ascii").split())
    except OSError as error:
        raise SettingsError(
            f"The key file {path} cannot be made or read ({error.strerror}): make its directory writable for this "
            "user, or set MCP_SEALING_KEYS."
        ) from None
    except UnicodeDecodeError:
        keys = ()
    if not keys or not all(map(is_key, keys)):
        raise SettingsError(
            f"The key file {path} holds something else than keys: restore it from a backup, or set MCP_SEALING_KEYS."
        )
    return keys


def _create(path: Path, key: str, random_bytes: RandomBytes) -> None:
    """Make the file, whole or not at all: what is written elsewhere gets its name when it is complete."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{random_bytes(8).hex()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
            file.flush()
            # What is sealed must not outlive the key in a power cut.
            os.fsync(file.fileno())
        # Unlike a renaming, a link never replaces the file of a process that was faster.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
