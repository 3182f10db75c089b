"""`gatepost front -- COMMAND`: put a stdio MCP server of somebody else's behind Gatepost's guard, unchanged.

`gatepost front URL` is in `front_remote`.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any, Final

from gatepost.cli.front_config import servers_of_config
from gatepost.cli.front_remote import add_remote_arguments, is_url, lacks_scheme, refuse_for_command, remote_of
from gatepost.cli.serve import add_serving_arguments, overrides_of, serve_over_http
from gatepost.cli.terminal import CommandRefused
from gatepost.fronts.sharing import SHARES, Sharing

if TYPE_CHECKING:
    from gatepost.fronts.command import Command

_NOTHING: Final = (
    "Name the server: gatepost front -- npx -y some-server starts one, gatepost front https://mcp.example.com/mcp is "
    "one elsewhere, and gatepost front --config FILE takes several."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `front` takes."""
    parser.usage = (
        "gatepost front [options] -- COMMAND [ARGUMENT ...]\n       gatepost front [options] URL\n"
        "       gatepost front [options] --config FILE"
    )
    parser.description = (
        "Serve the stdio MCP server that COMMAND starts, or the one at URL, at /mcp, guarded by the built-in "
        "authorization server. Each client session has a process of its own, or a session of its own at URL, which "
        "sees neither tokens nor the settings of this server. Several of them are served as one by --config."
    )
    parser.epilog = "{user} in an argument or in --env stands for a name of the user, such as memory-{user}.json."
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the server and its arguments, or its URL"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="serve the MCP servers of this file: the object mcpServers of clients, as JSON or TOML; tools of several "
        "have the names of their servers in front",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="give the server a variable, or pass on our own; it has PATH, HOME, LANG, LC_ALL and TZ anyway",
    )
    parser.add_argument("--cwd", metavar="DIR", help="where the server runs (default: here)")
    parser.add_argument(
        "--share",
        choices=SHARES,
        help="who shares a process: session, nobody; user, what one user opens; all, everybody (default: session)",
    )
    parser.add_argument("--serial", action="store_true", help="ask each process one thing at a time")
    parser.add_argument(
        "--start-seconds", type=float, metavar="N", help="how long a start may take (default: 60; of a URL: 30)"
    )
    parser.add_argument(
        "--idle-seconds", type=float, metavar="N", help="when an unused process or session ends (default: 3600)"
    )
    parser.add_argument(
        "--most-processes",
        "--most-sessions",
        type=int,
        metavar="N",
        help="how many there may be (default: 64; of a URL: 1000)",
    )
    parser.add_argument(
        "--most-per-user", type=int, metavar="N", help="how many one user may have (default: 16; of a URL: 100)"
    )
    parser.add_argument("--spares", type=int, metavar="N", help="how many start before they are needed (default: 1)")
    add_remote_arguments(parser)
    add_serving_arguments(parser)
    parser.set_defaults(run=front, front_parser=parser)


def front(options: argparse.Namespace) -> None:
    """Serve until stopped.

    Raises:
        CommandRefused: no command was named, or an option cannot be meant.
        TargetError: what it starts is no MCP server.
        SettingsError: a setting is wrong or the combination is unsafe.
    """
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - not needed for --help

    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if options.config is not None:
        if words:
            raise CommandRefused("What is served is in the file of --config; name nothing beside it.", exit_code=2)
        settings = load_settings(overrides_of(options))
        servers = servers_of_config(options, settings)
        serve_over_http(lambda: servers, options, settings)
        return
    if words and is_url(words[0]):
        # Options may stand behind a URL; behind a command they would be its own.
        options.front_parser.parse_args(words[1:], options)
        settings = load_settings(overrides_of(options))
        if options.command:
            raise CommandRefused("One URL stands behind one front.", exit_code=2)
        remote = remote_of(words[0], options, settings)
        serve_over_http(lambda: remote, options, settings)
        return
    refuse_for_command(options)
    if not words:
        raise CommandRefused(_NOTHING, exit_code=2)
    if lacks_scheme(words[0]):
        raise CommandRefused(
            f"There is no command {words[0]}. If that is the URL of a server, http:// or https:// is missing: "
            f"gatepost front https://{words[0]}",
            exit_code=2,
        )
    command = _command(words, options)
    serve_over_http(lambda: command, options, load_settings(overrides_of(options)))


def _command(words: list[str], options: argparse.Namespace) -> Command:
    from gatepost.fronts.command import Command  # noqa: PLC0415 - not needed for --help

    names = ("start_seconds", "idle_seconds", "most_processes", "most_per_user", "spares")
    given: dict[str, Any] = {name: value for name in names if (value := getattr(options, name)) is not None}
    try:
        return Command(
            *words,
            env=dict(map(_variable, options.env)),
            cwd=options.cwd,
            share=options.share or Sharing.share,
            serial=options.serial,
            **given,
        )
    except ValueError as error:
        raise CommandRefused(f"{str(error)[:1].upper()}{str(error)[1:]}.", exit_code=2) from None


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or (not equals and name not in os.environ):
        raise CommandRefused(f"--env {text}: write NAME=VALUE, or a NAME that is set here.", exit_code=2)
    return name, value if equals else os.environ[name]
