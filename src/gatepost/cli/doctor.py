"""`gatepost doctor`: what real clients would meet at an MCP URL."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatepost.cli.terminal import CommandRefused, missing_scheme, say
from gatepost.outbound.addresses import names_this_machine
from gatepost.resource.bearer import is_bearer_token

if TYPE_CHECKING:
    from gatepost.doctor.examination import Diagnosis, WalkOptions

TOKEN_VARIABLE: Final = "GATEPOST_TOKEN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `doctor`."""
    parser.description = (
        "Make the requests that real clients make, at an MCP URL of Gatepost or of any other server, and say step by "
        "step what would fail, for which client, why and what to change. Exit code 0: nothing would fail; 1: "
        "something would. Registrations that it makes are removed again where the server offers that."
    )
    parser.epilog = f"A token in the environment variable {TOKEN_VARIABLE} is used, unless --token-file names one."
    parser.add_argument("url", metavar="URL", help="the MCP URL, such as https://mcp.example.com/mcp")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="a file with an access token, to go on behind the lock; - is standard input",
    )
    parser.add_argument(
        "--login",
        action="store_true",
        help="log in with the browser as a client does, refresh as clients do, and revoke and remove it all at the end",
    )
    parser.add_argument("--without-registration", action="store_true", help="register no clients")
    parser.add_argument("--patient", action="store_true", help="hold a silent stream for 75 seconds; needs a token")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the report; exit code 1 when something would fail, 2 when an argument is wrong."""
    url = _url(options.url)
    if options.login and (options.token_file is not None or options.without_registration):
        raise CommandRefused("--login goes with neither --token-file nor --without-registration.", exit_code=2)
    token = None if options.login else _token(options.token_file)
    if options.patient and token is None and not options.login:
        raise CommandRefused(f"--patient needs a token: {TOKEN_VARIABLE}, --token-file FILE, or --login.", exit_code=2)
    if (token is not None or options.login) and _is_in_clear(url):
        raise CommandRefused("A token would be sent in clear: use https, or a server on this machine.", exit_code=2)
    from gatepost.doctor.behind_lock import SILENCE_SECONDS  # noqa: PLC0415 - after the arguments are known to be right
    from gatepost.doctor.examination import WalkOptions  # noqa: PLC0415 - likewise
    from gatepost.doctor.report import json_of, text_of  # noqa: PLC0415 - likewise

    asked = WalkOptions(
        token=token,
        registers=not options.without_registration,
        silence_seconds=SILENCE_SECONDS if options.patient else 0.0,
    )
    diagnosis = asyncio.run(_examine(url, asked, logs_in=options.login))
    _say_progress("")
    say(json_of(diagnosis) if options.json else text_of(diagnosis, in_colour=_in_colour()))
    if diagnosis.anything_fails:
        raise CommandRefused  # said already, by the report


async def _examine(url: str, asked: WalkOptions, *, logs_in: bool) -> Diagnosis:
    from gatepost.doctor.examination import examine  # noqa: PLC0415 - as above
    from gatepost.doctor.requester import Requester  # noqa: PLC0415 - likewise
    from gatepost.doctor.visit import BrowserVisit  # noqa: PLC0415 - likewise

    async with Requester(url) as requester:
        if not logs_in:
            return await examine(url, requester, asked, progress=_say_progress)
        async with BrowserVisit(_open_browser) as visit:
            return await examine(url, requester, replace(asked, visit=visit), progress=_say_progress)


async def _open_browser(url: str) -> None:
    """Show the login page; where there is no browser, somebody opens it by hand on this machine."""
    import webbrowser  # noqa: PLC0415 - few commands open a browser

    _say_progress("")
    sys.stderr.write(f"Log in in the browser, within five minutes:\n{url}\n")
    sys.stderr.flush()
    await asyncio.to_thread(webbrowser.open, url)


def _say_progress(what: str) -> None:
    """Say what is being looked at, to whoever waits at a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what} …" if what else "\r\x1b[K")
        sys.stderr.flush()


def _in_colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _url(text: str) -> str:
    """Return the URL as clients use it."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or not text.isascii() or not text.isprintable():
        raise CommandRefused(
            f"{missing_scheme(text)}URL takes an MCP URL, such as https://mcp.example.com/mcp.", exit_code=2
        )
    if "@" in parts.netloc or parts.fragment:
        raise CommandRefused("URL takes an MCP URL without a user, a password and a fragment.", exit_code=2)
    return text if parts.path else f"{text}/"


def _is_in_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not names_this_machine(parts.hostname or "")


def _token(file: str | None) -> str | None:
    """Return the token that is to be used: never from the command line, which every user of a machine can read."""
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        source = TOKEN_VARIABLE
    else:
        source = "--token-file"
        try:
            token = (sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")).strip()
        except (OSError, UnicodeDecodeError):
            raise CommandRefused(f"{file} cannot be read as a text file.", exit_code=2) from None
    if not token:
        return None
    if not is_bearer_token(token):
        raise CommandRefused(f"{source} holds no access token: that is one word (RFC 6750 section 2.1).", exit_code=2)
    return token
