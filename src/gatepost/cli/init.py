"""`gatepost init`: write a project to begin with."""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.cli.terminal import CommandRefused, say

if TYPE_CHECKING:
    from gatepost.cli.starting_project import StartingProject


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `init` takes."""
    parser.description = (
        "Write a project to begin with: a server, its test, its settings, a Dockerfile. Asks for what is not given; "
        "without a terminal the defaults count. No file that is there is touched."
    )
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="where to (default: this folder)")
    parser.add_argument("--name", help="name of the server (default: the folder's)")
    parser.add_argument(
        "--login",
        metavar="WHO",
        help="who may log in: accounts (accounts of the server, the default); google, entra, github, gitlab, discord, "
        "keycloak, auth0, okta, oidc or oauth2 (people of a login provider); or tokens (whoever has a token of an "
        "authorization server that you have)",
    )
    parser.add_argument(
        "--public-url", metavar="URL", help="https address that clients will use (default: this machine alone)"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing: what is not given is as by default")
    parser.set_defaults(run=init)


def init(options: argparse.Namespace) -> None:
    """Write the project and say what is next; refused with exit code 1 when a file is there, 2 for a wrong option."""
    from gatepost.cli.starting_project import StartingProject, name_for, write  # noqa: PLC0415 - not needed for --help

    folder = Path(options.folder)
    asks = not options.yes and sys.stdin.isatty() and sys.stdout.isatty()
    project = StartingProject(
        name=_answer("Name of the server", options.name, name_for(folder), _name, asks=asks),
        login=_answer(_WHO, options.login, "accounts", _login, asks=asks),
        public_url=_answer(_WHERE, options.public_url, "", _public_url, asks=asks) or None,
    )
    files = project.files(sealing_key=secrets.token_urlsafe(32))
    write(folder, files)
    _say_what_is_next(project, folder, list(files))


_WHO = """\
Who may log in?
  accounts                             accounts of this server, with a password or a passkey
  google, entra, github, gitlab,
  discord, keycloak, auth0, okta,
  oidc, oauth2                         people of a login provider of that kind
  tokens                               whoever has a token of an authorization server that you have
Login"""
_WHERE = "Where will it run? The https address that clients will use, or nothing for this machine"


def _answer(question: str, given: str | None, default: str, check: Callable[[str], str], *, asks: bool) -> str:
    """Return what was given as an option, or answered, or else the default, as `check` returns it."""
    if given is not None or not asks:
        return check(default if given is None else given)
    prompt = question + (f" [{default}]: " if default else ": ")
    while True:
        try:
            typed = input(prompt).strip()
        except EOFError:
            say("")
            raise CommandRefused("There was no answer, and nothing was written.") from None
        try:
            return check(typed or default)
        except CommandRefused as refused:
            say(" ".join(refused.sentences))


def _name(text: str) -> str:
    from gatepost.cli.starting_project import is_name  # noqa: PLC0415 - not needed for --help

    if not is_name(text):
        raise CommandRefused(
            "The name takes letters, digits, and - and _ between them, begins with a letter, and has at most 63 "
            "characters.",
            exit_code=2,
        )
    return text


def _login(text: str) -> str:
    from gatepost.cli.starting_project import LOGINS  # noqa: PLC0415 - not needed for --help

    if text not in LOGINS:
        raise CommandRefused(f"Who may log in takes one of these: {', '.join(LOGINS)}.", exit_code=2)
    return text


def _public_url(text: str) -> str:
    """Return the address in its one form; nothing as it is."""
    from gatepost.configuration.deployment import canonical_url  # noqa: PLC0415 - not needed for --help
    from gatepost.configuration.settings import SettingsError  # noqa: PLC0415 - likewise

    if not text:
        return text
    try:
        url = canonical_url(text)
    except SettingsError:
        url = ""
    if not url.startswith("https://"):
        raise CommandRefused(
            "The public URL takes an address such as https://mcp.example.com or https://example.com/tools; a server of "
            "this machine needs none.",
            exit_code=2,
        )
    return url


def _say_what_is_next(project: StartingProject, folder: Path, names: list[str]) -> None:
    where = "this folder" if folder.resolve() == Path.cwd() else str(folder)
    say(f"Wrote the project {project.name} to {where}: {', '.join(names)}.")
    if project.unset:
        say("\nBefore the start, fill in what .env leaves open; the comments there tell what each is:\n")
        for variable in project.unset:
            say(f"    {variable}")
    say("\nThen:" if project.unset else "\nNext:")
    say("")
    if folder.resolve() != Path.cwd():
        say(f"    cd {shlex.quote(str(folder))}")
    say(
        "    python3 -m venv .venv && . .venv/bin/activate\n    pip install -r requirements-dev.txt\n    pytest\n"
        "    gatepost serve"
    )
    # The public URL in .env is not one that `gatepost dev` serves.
    dev = "gatepost dev" if project.public_url is None else "MCP_PUBLIC_URL=http://127.0.0.1:8000 gatepost dev"
    say(f"\nWhile you write it, {dev} loads each change at once, and has a page that calls the tools.")
