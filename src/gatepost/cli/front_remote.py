"""`gatepost front URL`: put an MCP server on Streamable HTTP elsewhere behind Gatepost's guard, unchanged."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost.cli.terminal import CommandRefused

if TYPE_CHECKING:
    from gatepost.configuration.settings import Settings
    from gatepost.fronts.remote import Remote

_URL: Final = re.compile(r"https?://", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:(?:[a-z0-9-]+\.)+[a-z0-9-]+|localhost|\[[0-9a-f:]+\])(?::\d+)?", re.IGNORECASE)
_FOR_COMMANDS: Final = ("env", "cwd", "spares")
_FOR_URLS: Final = ("header_file", "upstream", "allow_http")
_AUTHORIZATION: Final = "Authorization"


def add_remote_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `front` takes for a URL alone."""
    group = parser.add_argument_group("in front of a URL")
    group.add_argument(
        "--header-file",
        metavar="FILE",
        help="send the headers in this file, a line each, as in Authorization: Bearer ... (MCP_FRONT_AUTHORIZATION is "
        "the value of that one); an argument would be seen by everybody on this machine",
    )
    group.add_argument("--upstream", metavar="NAME", help="send the caller's own access token of this login provider")
    group.add_argument("--allow-http", action="store_true", help="take an http address of another machine")


def is_url(text: str) -> bool:
    """Say whether a word names a server elsewhere, and no command."""
    return _URL.match(text) is not None


def lacks_scheme(text: str) -> bool:
    """Say whether a word is no command here, and a host with a path or a port."""
    host, slash, _ = text.partition("/")
    return _HOST.fullmatch(host) is not None and (bool(slash) or ":" in host) and not Path(text).exists()


def refuse_for_command(options: argparse.Namespace) -> None:
    """Refuse what only a URL takes; raises CommandRefused."""
    refuse_given(options, _FOR_URLS, "a URL")


def remote_of(url: str, options: argparse.Namespace, settings: Settings) -> Remote:
    """Return the server that the command line names; raises CommandRefused."""
    from gatepost.fronts.remote import Remote  # noqa: PLC0415 - not needed for --help

    refuse_given(options, _FOR_COMMANDS, "a command")
    given: dict[str, Any] = {
        "start_seconds": options.start_seconds,
        "idle_seconds": options.idle_seconds,
        "most_sessions": options.most_processes,
        "most_per_user": options.most_per_user,
    }
    try:
        return Remote(
            url,
            headers=_headers(options, settings),
            upstream=options.upstream,
            allow_http=options.allow_http,
            share=options.share or "session",
            serial=options.serial,
            **{name: value for name, value in given.items() if value is not None},
        )
    except ValueError as error:
        raise CommandRefused(f"{str(error)[:1].upper()}{str(error)[1:]}.", exit_code=2) from None


def _headers(options: argparse.Namespace, settings: Settings) -> dict[str, str]:
    headers: dict[str, str] = {}
    if options.header_file is not None:
        for line in _lines(Path(options.header_file)):
            name, colon, value = line.partition(":")
            if not colon:
                # Without the line, which may be a secret.
                raise CommandRefused(f"{options.header_file} has a line without a colon: write Name: value.")
            headers[name.strip()] = value.strip()
    secret = settings.server.front_authorization
    if secret is not None:
        if any(name.lower() == _AUTHORIZATION.lower() for name in headers):
            raise CommandRefused(f"{options.header_file} and MCP_FRONT_AUTHORIZATION both give Authorization.")
        headers[_AUTHORIZATION] = secret.get_secret_value()
    return headers


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise CommandRefused(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandRefused(f"{path} has a character that no header has: they are ASCII.") from None
    return [line for line in lines if line.strip() and not line.startswith("#")]


def refuse_given(options: argparse.Namespace, names: tuple[str, ...], of: str) -> None:
    """Refuse options that are for something else; raises CommandRefused."""
    for name in names:
        if getattr(options, name) not in (None, False, []):
            raise CommandRefused(f"--{name.replace('_', '-')} is for {of} only.", exit_code=2)
