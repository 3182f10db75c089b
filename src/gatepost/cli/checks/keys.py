"""Sealing keys and what they open; the keys that sign access tokens, and their ages."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatepost.cli.checks.finding import Finding, wrong
from gatepost.configuration.deployment import key_file, locate_store
from gatepost.configuration.sealing_keys import keys_in_file, refuse_other_ring
from gatepost.configuration.settings import Settings, SettingsError
from gatepost.stores.contract.errors import StoreError
from gatepost.tokens.sealing import KeyRing

if TYPE_CHECKING:
    from gatepost.stores.care.checking import KeysReport
    from gatepost.stores.care.state import StoreStatus

_SEALING: Final = "sealing keys"
_SIGNING: Final = "signing keys"
_OLD_DAYS: Final = 365
_DAY: Final = 24 * 3600
_ALL: Final = 0o007
"""What everybody may do. A group may read a secret that Kubernetes mounts, since the server is only of that group."""


async def keys_found(settings: Settings, status: StoreStatus | None, *, now: int) -> list[Finding]:
    """Return what there is to say of the keys.

    Args:
        settings: name the keys.
        status: of the store; None where none can be read.
        now: the time, seconds UTC.
    """
    return [*await _keys_found(settings, status, now=now), *_secret_files_found(settings)]


def _secret_files_found(settings: Settings) -> list[Finding]:
    """Say which of the files that settings name for secrets are open to everybody on this machine."""
    if os.name != "posix":
        return []
    server = settings.server
    files = {
        "MCP_SEALING_KEYS_FILE": (_SEALING, server.sealing_keys_file),
        "MCP_STORAGE_PASSWORD_FILE": ("store password", server.storage_password_file),
    }
    found = list[Finding]()
    for setting, (item, file) in files.items():
        if file is None or not file.expanduser().is_file():
            continue
        mode = stat.S_IMODE(file.expanduser().stat().st_mode)
        if mode & _ALL:
            said = (
                f"The file of {setting} has mode {mode:04o}, so every user of this machine may use it: chmod 600 it. "
                "In a container without other users it may stay so."
            )
            found.append(Finding(item, "note", said))
    return found


async def _keys_found(settings: Settings, status: StoreStatus | None, *, now: int) -> list[Finding]:
    file = key_file(settings)
    if settings.server.sealing_keys is not None:
        ring, where = KeyRing(settings.server.sealing_keys.get_secret_value().split()), "MCP_SEALING_KEYS"
        where += "" if settings.server.sealing_keys_file is None else "_FILE"
    elif file.exists():
        try:
            ring = KeyRing(keys_in_file(file, random_bytes=secrets.token_bytes))
        except SettingsError as error:
            return wrong(_SEALING, error.sentences)
        where = str(file)
    else:
        return _without(file, settings, status)
    if status is None or status.state not in {"current", "newer"}:
        there = f"{_keys(ring, where, one='is one', several='are such')} that can seal."
        unknown = Finding(_SIGNING, "skipped", "There is no store with this Gatepost's schema to look into.")
        return [Finding(_SEALING, "ok", there), unknown]
    from gatepost.stores.care.checking import check_keys  # noqa: PLC0415 - a database's driver comes with it

    try:
        report = await check_keys(locate_store(settings), ring=ring, now=now)
    except StoreError as error:
        return [Finding(_SEALING, "wrong", f"{error}.")]
    return [*_sealing(report, ring, file, where), *_signing(report, settings, now)]


def _without(file: Path, settings: Settings, status: StoreStatus | None) -> list[Finding]:
    if locate_store(settings).is_lost_at_exit:
        return [Finding(_SEALING, "ok", "One is made for the store in memory, and ends with it.")]
    if status is None or status.state == "empty":
        return [Finding(_SEALING, "ok", f"There is none yet; the first start makes one in {file}.")]
    said = (
        f"MCP_SEALING_KEYS is not set and there is no {file}, and the store was sealed under a key: put the key file "
        "that belongs to this store in its place, or set MCP_SEALING_KEYS (docs/backup.md)."
    )
    return wrong(_SEALING, [said])


def _keys(ring: KeyRing, where: str, *, one: str, several: str) -> str:
    count = len(ring.key_ids)
    return f"The key of {where} {one}" if count == 1 else f"The {count} keys of {where} {several}"


def _sealing(report: KeysReport, ring: KeyRing, file: Path, where: str) -> list[Finding]:
    if report.noted is not None:
        try:
            refuse_other_ring(ring, report.noted, file=file)
        except SettingsError as error:
            return wrong(_SEALING, error.sentences)
    problems = [
        Finding(_SEALING, "wrong", f"{problem}: gatepost store check says more.") for problem in report.problems
    ]
    values = sum(report.sealed_under.values())
    opens = _keys(ring, where, one="opens", several="open")
    opened = Finding(_SEALING, "ok", f"{opens} what the store keeps sealed: {values} values.")
    others = [key for key in ring.key_ids[1:] if not report.sealed_under.get(key)]
    spare = [
        Finding(_SEALING, "note", f"Nothing is sealed under {key}: it can be taken out of {where}.") for key in others
    ]
    return [*(problems or [opened]), *(spare if report.noted == ring.key_ids[0] else [])]


def _signing(report: KeysReport, settings: Settings, now: int) -> list[Finding]:
    if settings.oauth.access_token_format == "opaque":
        return [Finding(_SIGNING, "ok", "Access tokens are opaque (OAUTH_ACCESS_TOKEN_FORMAT), so none is needed.")]
    if not report.signing:
        return [Finding(_SIGNING, "ok", "There is none yet; the next start makes one.")]
    from gatepost.stores.signing_keys import states  # noqa: PLC0415 - as above

    said, old = list[str](), list[Finding]()
    for key, state in zip(report.signing, states(report.signing, now=now), strict=True):
        days = max(now - key.created_at, 0) // _DAY
        said.append(f"{key.key_id} ({key.algorithm}, {days} days old) {state}")
        if state == "signs" and days > _OLD_DAYS:
            old.append(Finding(_SIGNING, "note", f"{key.key_id} is {days} days old: gatepost keys rotate replaces it."))
    return [Finding(_SIGNING, "ok", f"{', '.join(said)}."), *old]
