"""The project that `gatepost init` writes: what is asked, the texts that follow, and files that are all there or none.

The texts are templates in `init_templates/`. Which variables a login provider needs is known where they are read
(`configuration/upstreams.py`).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from gatepost import __version__
from gatepost.cli.terminal import CommandRefused
from gatepost.configuration.settings import UPSTREAM_PREFIX
from gatepost.configuration.upstreams import KINDS_OF_LOGIN, needed_members
from gatepost.late_dataclass import dataclass

ACCOUNTS: Final = "accounts"
TOKENS: Final = "tokens"
LOGINS: Final = (ACCOUNTS, TOKENS, *KINDS_OF_LOGIN)
"""Who may log in: accounts here, whoever has a token of an issuer elsewhere, people of a login provider of a kind."""
_LOCAL_ORIGIN: Final = "http://127.0.0.1:8000"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*")
_LONGEST_NAME: Final = 63
_PLACES: Final[Mapping[str, str]] = {
    "oidc": "at an OpenID provider",
    "google": "at Google",
    "entra": "at Microsoft Entra",
    "keycloak": "at Keycloak",
    "auth0": "at Auth0",
    "okta": "at Okta",
    "gitlab": "at GitLab",
    "discord": "at Discord",
    "github": "at GitHub",
    "oauth2": "at an OAuth 2.0 server",
}
_CREDENTIALS: Final = ("CLIENT_ID", "CLIENT_SECRET")
_MEANINGS: Final[Mapping[str, str]] = {
    "AUTHORIZATION_ENDPOINT": "Where browsers are sent, an https URL.",
    "TOKEN_ENDPOINT": "Where codes are exchanged, an https URL.",
    "USERINFO_ENDPOINT": "What says who the holder of an access token is, an https URL.",
    "SUBJECT": "The member of that answer which is the person: what stays, and what nobody else ever gets.",
    "TENANT": "The directory (tenant) ID.",
}
_ISSUERS: Final[Mapping[str, str]] = {
    "oidc": "https://id.example.com",
    "keycloak": "https://id.example.com/realms/company",
    "auth0": "https://company.eu.auth0.com",
    "okta": "https://company.okta.com",
}
_FILES: Final[Mapping[str, str]] = {
    "server.py": "server.py",
    "test_server.py": "test_server.py",
    "pytest.ini": "pytest.ini",
    ".env": "env",
    ".gitignore": "gitignore",
    "requirements.txt": "requirements.txt",
    "requirements-dev.txt": "requirements-dev.txt",
    "Dockerfile": "Dockerfile",
    ".dockerignore": "dockerignore",
    "README.md": "README.md",
}
"""What is written, and its template. These have other names, since some of these mean something to tools here."""
_MODES: Final = {".env": 0o600}


@dataclass(frozen=True, slots=True)
class StartingProject:
    """What the three questions say.

    Args:
        name: of the server, such as `notes`; `is_name` says which there are.
        login: one of `LOGINS`.
        public_url: in its one form (`canonical_url`); None for a server of this machine.
    """

    name: str
    login: str = ACCOUNTS
    public_url: str | None = None

    @property
    def unset(self) -> tuple[str, ...]:
        """The variables that `.env` names and that only the person can say; until then `gatepost serve` names them."""
        if self.login == ACCOUNTS:
            return ()
        if self.login == TOKENS:
            return ("OAUTH_ISSUER",)
        return (*(f"{self._prefix}{member}" for member, _ in self._members()), "OAUTH_ALLOWED_USERS")

    def files(self, *, sealing_key: str) -> dict[str, str]:
        """Return the text of each file by its name.

        Args:
            sealing_key: a fresh one, which is used if there is a public URL.
        """
        import jinja2  # noqa: PLC0415 - not needed for --help

        environment = jinja2.Environment(
            autoescape=False,  # noqa: S701 - these are no pages; what is put in is checked
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        values = {
            "name": self.name,
            "image": self.name.lower(),
            "login": self.login,
            "public_url": self.public_url,
            "origin": self.public_url or _LOCAL_ORIGIN,
            "place": _PLACES.get(self.login),
            "prefix": self._prefix,
            "members": self._members(),
            "missing": self.unset,
            "sealing_key": sealing_key,
            "version": __version__,
        }
        templates = resources.files("gatepost.cli") / "init_templates"
        return {
            name: environment.from_string((templates / f"{template}.jinja").read_text("utf-8")).render(values)
            for name, template in _FILES.items()
        }

    @property
    def _prefix(self) -> str:
        return f"{UPSTREAM_PREFIX}{self.login.upper()}_"

    def _members(self) -> list[tuple[str, str]]:
        """Return what follows the prefix in the variables of a login provider, each with what it means."""
        if self.login in {ACCOUNTS, TOKENS}:
            return []
        # Most give a secret with the id, also where it can be left out.
        needed = [name for name in needed_members(self.login) if name not in _CREDENTIALS]
        names = [*needed, *_CREDENTIALS]
        issuer = f"Its issuer URL, such as {_ISSUERS.get(self.login)}."
        return [(name, issuer if name == "ISSUER" else _MEANINGS.get(name, "")) for name in names]


def is_name(text: str) -> bool:
    """Say whether a server can have this name: letters, digits, and between them - and _."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def name_for(folder: Path) -> str:
    """Return the name of a server whose project is in this folder: the folder's, as far as it is one."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", folder.resolve().name)[:_LONGEST_NAME].strip("-")
    return plain if is_name(plain) else "notes"


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write all files into the folder, which is made if it is not there; or none of them.

    Raises:
        CommandRefused: one of them is there, or they cannot be written.
    """
    if there := [name for name in files if os.path.lexists(folder / name)]:
        are, them = ("are", "them") if len(there) > 1 else ("is", "it")
        place = "this folder" if folder == Path() else folder
        raise CommandRefused(
            f"{_listed(there)} {are} in {place} already, and nothing was written: name another folder, or move {them} "
            "away."
        )
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            # Whoever made a file of this name meanwhile keeps it.
            descriptor = os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODES.get(name, 0o666))
            written.append(folder / name)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else's files are in it, or it was never made
            for parent in made:
                parent.rmdir()
        place = error.filename or folder
        raise CommandRefused(f"{place} cannot be written, and nothing was left there: {error.strerror}.") from None


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
