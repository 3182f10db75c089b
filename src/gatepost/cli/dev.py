"""`gatepost dev TARGET`: serve while one writes the server, with a page that tries its tools."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatepost.cli.serve import add_app_arguments, add_target_argument

if TYPE_CHECKING:
    from gatepost.configuration.settings import Settings

_FOLDER: Final = Path(".gatepost")
_STORE: Final = _FOLDER / "dev.sqlite3"
"""Never the store of a server that others use, whatever the settings say."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `dev` takes."""
    parser.description = (
        "Serve TARGET on this machine while you write it: when a file changes, the new code takes the old one's place. "
        "A page at /dev lists its tools, prompts and resources and calls them."
    )
    parser.epilog = f"Accounts, tokens and sessions are kept in {_STORE}. Other settings as for gatepost serve."
    add_target_argument(parser)
    parser.add_argument("--host", help="address of this machine to listen on (MCP_HOST, default 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (MCP_PORT, default 8000)")
    parser.add_argument(
        "--watch",
        action="append",
        default=[],
        metavar="PATH",
        help="a further file or folder of which every change counts; may be given several times",
    )
    add_app_arguments(parser)
    parser.set_defaults(run=dev)


def dev(options: argparse.Namespace) -> None:
    """Serve until stopped.

    Raises:
        TargetError: no target was named.
        SettingsError: a setting is wrong, or the server would be reached from elsewhere.
    """
    from gatepost.listening.reload_folder import this_process  # noqa: PLC0415 - not needed for --help

    process = this_process(os.environ)
    # Ctrl-C is how a server is stopped; by the time it shows here, open requests have been answered.
    with contextlib.suppress(KeyboardInterrupt):
        if process is None:
            _be_parent(options)
        else:
            from gatepost.cli.dev_process import serve_as  # noqa: PLC0415 - the parent needs none of it

            serve_as(process, options)


def _be_parent(options: argparse.Namespace) -> None:
    from gatepost.configuration.loading import TargetError  # noqa: PLC0415 - not needed for --help
    from gatepost.configuration.settings import SettingsError  # noqa: PLC0415 - likewise
    from gatepost.listening.listeners import Where  # noqa: PLC0415 - likewise

    if os.name != "posix":
        raise SettingsError("gatepost dev hands its listener over in a way that this system does not have: use serve.")
    from gatepost.listening.reloading import serve_with_reload  # noqa: PLC0415 - needs what such systems lack
    from gatepost.listening.watching import FileWatch  # noqa: PLC0415 - likewise

    settings = dev_settings(options)
    target = options.target or settings.server.handler
    if not target:
        raise TargetError("Nothing to serve: name a target, such as gatepost dev notes:server, or set MCP_HANDLER.")
    _make_folder()
    file, _, _name = target.partition(":")
    roots = [Path.cwd(), *([Path(file).parent] if file.endswith(".py") else [])]
    serve_with_reload(
        Where(host=settings.server.host, port=settings.server.port),
        FileWatch([root for root in roots if root.is_dir()], map(Path, options.watch)),
        say=_say,
        greeting=_greeting,
        environment=_environment,
    )


def dev_settings(options: argparse.Namespace | None = None) -> Settings:
    """Return the settings, which have to be of a server for this machine; figures are shown at no address.

    Raises:
        SettingsError: one is wrong, or the server would be reached from elsewhere.
    """
    from gatepost.configuration.deployment import is_loopback_host  # noqa: PLC0415 - not needed for --help
    from gatepost.configuration.settings import SettingsError, load_settings  # noqa: PLC0415 - likewise

    given = {} if options is None else {"MCP_HOST": options.host, "MCP_PORT": options.port}
    settings = load_settings({name: value for name, value in given.items() if value is not None})
    server = settings.server
    if server.public_url is not None and not _is_of_this_machine(server.public_url):
        raise SettingsError(
            "gatepost dev shows tracebacks and makes tokens, so it serves this machine alone, and MCP_PUBLIC_URL names "
            "another address. Use gatepost serve for that one; or set MCP_PUBLIC_URL=http://127.0.0.1:8000 in the "
            "environment, which counts before .env."
        )
    if not is_loopback_host(server.host):
        raise SettingsError(
            f"gatepost dev serves this machine alone, and MCP_HOST={server.host} can be reached from others: leave it "
            "out, or set MCP_HOST=127.0.0.1."
        )
    if server.uds is not None or server.fd is not None:
        raise SettingsError("gatepost dev listens on a port of its own: leave MCP_UDS and MCP_FD out.")
    # A process that loads new code would find the address taken by the one whose place it takes.
    return replace(settings, observability=settings.observability.model_copy(update={"metrics_listen": None}))


def _is_of_this_machine(url: str) -> bool:
    from urllib.parse import urlsplit  # noqa: PLC0415 - not needed for --help

    from gatepost.configuration.deployment import canonical_url, is_loopback_host  # noqa: PLC0415 - likewise

    parts = urlsplit(canonical_url(url))
    return is_loopback_host(parts.hostname or "") and not parts.path


def _make_folder() -> None:
    if not _FOLDER.exists():
        _FOLDER.mkdir(mode=0o700)
        # Keys and tokens are in it, which are to be in no repository.
        (_FOLDER / ".gitignore").write_text("*\n", encoding="ascii")


def _environment(address: tuple[str, int]) -> dict[str, str]:
    host, port = address
    return {
        "MCP_HOST": host,
        "MCP_PORT": str(port),
        "MCP_STORAGE_URL": f"sqlite:///{_STORE.absolute()}",
        "MCP_WORKERS": "1",
    }


def _greeting(address: tuple[str, int], key: str) -> str:
    from gatepost.assembly.banner import banner  # noqa: PLC0415 - not needed for --help
    from gatepost.configuration.deployment import host_and_port  # noqa: PLC0415 - likewise

    host, port = address
    rows = [
        ("Try it", f"http://{host_and_port(host, port)}/dev#key={key}"),
        ("", "Open this link on this machine: the page lists tools, prompts and resources, and calls them."),
        ("Reload", "Save a file, and the new code is served. Ctrl-C ends it."),
    ]
    return banner("gatepost dev", rows)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command line talks to its user
