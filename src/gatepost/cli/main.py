"""`gatepost`: arguments to a subcommand, errors to one sentence and an exit code.

argparse rather than a framework: the command line is small, and the import time of a framework would be paid by every
start of the server (docs/decisions/0003-command-line.md).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from gatepost import __version__

EXIT_FAILURE = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 for a refusal that is explained, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    from gatepost.configuration.loading import TargetError  # noqa: PLC0415 - after the arguments are known to be right
    from gatepost.configuration.settings import SettingsError  # noqa: PLC0415 - likewise
    from gatepost.stores.contract.errors import StoreError  # noqa: PLC0415 - likewise

    try:
        return run(options)
    except SettingsError as error:
        for sentence in error.sentences:
            _complain(sentence)
        return EXIT_USAGE
    except TargetError as error:
        _complain(str(error))
        return EXIT_USAGE
    except StoreError as error:
        _complain(str(error))
        return EXIT_FAILURE
    except KeyboardInterrupt:
        return 130


def _complain(sentence: str) -> None:
    print(f"gatepost: {sentence}", file=sys.stderr)  # noqa: T201 - a command line talks to its user


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gatepost",
        description="Put Python tools on the open internet as an MCP server, with login and consent built in.",
    )
    parser.add_argument("--version", action="version", version=f"gatepost {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_stdio(commands)
    _add_users(commands)
    _add_clients(commands)
    _add_store(commands)
    _add_audit(commands)
    _add_grants_and_tokens(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gatepost.cli import serve  # noqa: PLC0415 - each subcommand's module is cheap; its work is imported when it runs

    parser = commands.add_parser(
        "serve",
        help="serve a Server or a JSON-RPC function over HTTP",
        description="Serve TARGET at /mcp, guarded by the built-in authorization server. A TARGET that is a mapping "
        "from paths to servers is served at those paths.",
        epilog="Everything else is set by environment variables or .env; see docs/settings.md.",
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="module:name or path/file.py:name (default: the variable MCP_HANDLER)",
    )
    parser.add_argument("--host", help="address to listen on (MCP_HOST, default 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (MCP_PORT, default 8000)")
    parser.add_argument("--public-url", help="origin that clients use (MCP_PUBLIC_URL)")
    parser.add_argument(
        "--single-user", action="store_true", help="no login: whoever reaches this server is its owner; loopback only"
    )
    parser.set_defaults(run=serve.run_command)


def _add_stdio(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gatepost.cli import stdio  # noqa: PLC0415 - as above

    stdio.add_command(commands)


def _add_users(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gatepost.cli import users  # noqa: PLC0415 - as above

    parser = commands.add_parser("users", help="manage accounts", description="Manage accounts.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, words in (
        ("add", users.add, "create an account"),
        ("disable", users.disable, "shut an account out and revoke what it allowed"),
        ("enable", users.enable, "let a disabled account in again"),
        ("passwd", users.passwd, "set an account's password"),
    ):
        action = actions.add_parser(name, help=words, description=words.capitalize() + ".")
        action.add_argument("username", metavar="USERNAME", help="or, of an account that there is, its subject")
        if name in {"add", "passwd"}:
            action.add_argument(
                "--password-stdin", action="store_true", help="read the password from standard input instead of asking"
            )
        action.set_defaults(run=run)
    listing = actions.add_parser("list", help="show all accounts", description="Show all accounts.")
    listing.set_defaults(run=users.show)


def _add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gatepost.cli import audit  # noqa: PLC0415 - as above

    audit.add_command(commands)


def _add_clients(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gatepost.cli import clients  # noqa: PLC0415 - as above

    clients.add_commands(commands)


def _add_store(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gatepost.cli import store  # noqa: PLC0415 - as above

    store.add_commands(commands)


def _add_grants_and_tokens(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gatepost.cli import grants, keys, token  # noqa: PLC0415 - as above

    grants.add_commands(commands)
    keys.add_commands(commands)
    token.add_commands(commands)


if __name__ == "__main__":
    sys.exit(main())
