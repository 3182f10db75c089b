"""`gatepost`: arguments to a subcommand, errors to one sentence and an exit code.

argparse rather than a framework: the command line is small, and the import time of a framework would be paid by every
start of the server (docs/decisions/0003-command-line.md).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gatepost import __version__
from gatepost.cli.parsing import Parser, near_match
from gatepost.cli.terminal import CommandRefused, complain, flush_output

EXIT_FAILURE = 1
EXIT_USAGE = 2

_COMMANDS: Final = {
    "init": "write a project to begin with",
    "serve": "serve a Server or a JSON-RPC function over HTTP",
    "dev": "serve while you write the server: reload, and a page that tries its tools",
    "check": "look at everything that can be known before a start, and change nothing",
    "call": "call a tool of an MCP server, ours or anybody's",
    "front": "serve an MCP server of somebody else's, which stands behind Gatepost unchanged",
    "stdio": "serve a Server or a JSON-RPC function on standard input and output",
    "publish": "write and check what the MCP registry is told of a server",
    "doctor": "say what real clients would meet at an MCP URL, and what to change",
    "users": "manage accounts",
    "clients": "manage clients",
    "store": "look after the store",
    "audit": "show what was decided: logins, consent, tokens, refusals",
    "grants": "see and revoke grants",
    "upstream": "see and end the tokens of login providers that are kept for tools",
    "keys": "manage the keys that sign access tokens",
    "token": "make access tokens",
    "apikeys": "make, see and revoke API keys",
}
"""The module of each is called like it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 for a refusal that is explained, 2 for wrong usage."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        flush_output()


def _run(given: list[str]) -> int:
    if not given and _names_handler():
        given = ["serve"]
    options = _options(given)
    from gatepost.configuration.loading import TargetError  # noqa: PLC0415 - after the arguments are known to be right
    from gatepost.configuration.settings import SettingsError  # noqa: PLC0415 - likewise
    from gatepost.stores.contract.errors import StoreError  # noqa: PLC0415 - likewise

    try:
        options.run(options)
    except CommandRefused as error:
        complain(*error.sentences)
        return error.exit_code
    except SettingsError as error:
        complain(*error.sentences)
        return EXIT_USAGE
    except TargetError as error:
        complain(*str(error).splitlines())
        return error.exit_code
    except StoreError as error:
        complain(str(error))
        return EXIT_FAILURE
    except KeyboardInterrupt:
        return 130
    return 0


def _names_handler() -> bool:
    """Say whether `gatepost` alone has something to serve."""
    from gatepost.configuration.settings import variables  # noqa: PLC0415 - only for a command line without arguments

    return "MCP_HANDLER" in variables(Path(".env"))


def _options(given: Sequence[str]) -> argparse.Namespace:
    """Return what the arguments say; raises SystemExit for wrong usage."""
    parser = _parser(given)
    if not given:
        parser.print_help(sys.stderr)
        raise SystemExit(EXIT_USAGE)
    if not given[0].startswith("-") and given[0] not in _COMMANDS:
        parser.error(_no_command(given[0]))
    return parser.parse_args(given)


def _no_command(word: str) -> str:
    """Return a sentence about a word that is no command, which names the command that is most like it."""
    near = near_match(word, _COMMANDS)
    return f"There is no command {word!r}{f'; did you mean {near}?' if near else '; gatepost --help lists them.'}"


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="gatepost",
        description="Put Python tools on the open internet as an MCP server, with login and consent built in.",
        epilog="gatepost COMMAND --help says what a command takes. Messages name pages of the documentation, such as "
        "docs/settings.md.",
    )
    parser.add_argument("--version", action="version", version=f"gatepost {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, words in _COMMANDS.items():
        is_named = name in arguments
        # Of the others nothing is imported, and no option is made: a start is as fast as what it starts.
        command = commands.add_parser(
            name, help=words, description=f"{words[0].upper()}{words[1:]}.", add_help=is_named
        )
        if is_named:
            importlib.import_module(f"gatepost.cli.{name}").add_arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
