"""Tokens that are kept from one call to the next: a file for each server, for its owner alone.

Processes that renew at once do it one after the other (flock(2)): the second finds what the first one got, instead of
sending a refresh token that has been spent. A file is replaced whole, so that a crash leaves the old one or the new.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, field, fields
from pathlib import Path
from typing import Any, Final

from gatepost.client.refusals import CallRefused
from gatepost.late_dataclass import dataclass

_PAUSE: Final = 0.05
"""Seconds between two looks whether another process is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredClient:
    """What this program is at an authorization server."""

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    auth_method: str = "none"
    redirect_uri: str | None = None
    """The one that was registered; None for a client that the operator gave."""
    devices: bool = False
    """Whether it was registered for logins by device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensOfServer:
    """What is kept of one server."""

    url: str
    resource: str
    issuer: str
    client: RegisteredClient
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: int | None = None
    """Of the access token, seconds UTC; None where nobody said."""
    scopes: tuple[str, ...] = ()
    """What was granted, or else asked for."""


@dataclass(frozen=True, slots=True)
class TokenFiles:
    """The folder; it is made when something is kept."""

    folder: Path

    def path_of(self, url: str) -> Path:
        """Return the file of a server, whose name says nothing of it."""
        return self.folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    def read(self, url: str) -> TokensOfServer | None:
        """Return what is kept of a server; None where nothing is, or it is of another version of this program."""
        try:
            return _read(json.loads(self.path_of(url).read_text(encoding="utf-8")), url)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def write(self, kept: TokensOfServer) -> None:
        """Replace what is kept of a server.

        Raises:
            CallRefused: the file cannot be written.
        """
        path = self.path_of(kept.url)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            self._make_folder()
            descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(asdict(kept), file)
                    file.flush()
                    # The server has spent the old refresh token: the new one must not be lost in a power cut.
                    os.fsync(file.fileno())
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise CallRefused(f"Tokens cannot be kept in {self.folder} ({error.strerror}): make it writable.") from None

    def forget(self, url: str) -> None:
        """Remove what is kept of a server; it may be that nothing is."""
        self.path_of(url).unlink(missing_ok=True)

    @asynccontextmanager
    async def alone(self, url: str) -> AsyncIterator[None]:
        """Keep other processes of this machine from renewing the tokens of a server, for as long as this lasts."""
        import fcntl  # noqa: PLC0415 - Linux and macOS have it, and nothing else here needs it

        try:
            self._make_folder()
            descriptor = os.open(self.path_of(url).with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise CallRefused(f"Tokens cannot be kept in {self.folder} ({error.strerror}): make it writable.") from None
        try:
            while True:
                # Without waiting in the system: Ctrl-C has to end it, and a thread that waits cannot be called back.
                with suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                await asyncio.sleep(_PAUSE)
            yield
        finally:
            os.close(descriptor)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)


def token_folder(environment: dict[str, str], home: Path) -> Path:
    """Return where tokens are kept: below XDG_STATE_HOME (XDG Base Directory Specification)."""
    named = environment.get("XDG_STATE_HOME", "")
    state = Path(named) if named.startswith("/") else home / ".local" / "state"
    return state / "gatepost" / "call"


def _read(found: Any, url: str) -> TokensOfServer | None:
    if found["url"] != url:
        return None
    client = RegisteredClient(**_known(RegisteredClient, found["client"]))
    given = {**_known(TokensOfServer, found), "client": client, "scopes": tuple(found.get("scopes") or ())}
    return TokensOfServer(**given)


def _known(kind: Any, found: Any) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in found.items() if name in names}
