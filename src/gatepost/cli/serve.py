"""`gatepost serve TARGET`: load the target and serve it until a signal comes."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatepost.configuration.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `serve` takes."""
    parser.description = (
        "Serve TARGET at /mcp, guarded by the built-in authorization server. A TARGET that is a mapping from paths to "
        "servers is served at those paths."
    )
    parser.epilog = "Everything else is set by environment variables or .env; see docs/settings.md."
    add_target_argument(parser)
    add_workers_argument(parser)
    add_serving_arguments(parser)
    parser.set_defaults(run=serve)


def add_target_argument(parser: argparse.ArgumentParser) -> None:
    """Add what is served."""
    parser.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="module:name or path/file.py:name; without a name its only Server (default: the variable MCP_HANDLER)",
    )


def add_workers_argument(parser: argparse.ArgumentParser) -> None:
    """Add by how many processes it is served."""
    parser.add_argument("--workers", metavar="N", help="how many processes serve (MCP_WORKERS, default 1)")


def add_serving_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what commands take that serve over HTTP."""
    parser.add_argument("--host", help="address to listen on (MCP_HOST, default 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (MCP_PORT, default 8000)")
    parser.add_argument("--uds", metavar="PATH", help="Unix socket to listen on instead (MCP_UDS)")
    parser.add_argument("--fd", metavar="N", help="file descriptor that is listened on already (MCP_FD)")
    parser.add_argument(
        "--reuse-port",
        action="store_true",
        help="listen beside a server that listens there, or take over its Unix socket (MCP_REUSE_PORT)",
    )
    parser.add_argument("--public-url", help="address that clients use (MCP_PUBLIC_URL)")
    add_app_arguments(parser)


def add_app_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the app is made with, wherever it listens."""
    parser.add_argument(
        "--single-user", action="store_true", help="no login: whoever reaches this server is its owner; loopback only"
    )
    parser.add_argument("--title", help="the server's name for people (default: the target's own)")
    parser.add_argument(
        "--middleware",
        action="append",
        default=[],
        metavar="CLASS",
        help="ASGI middleware around the app, as module:name; several, the first outermost",
    )


def serve(options: argparse.Namespace) -> None:
    """Serve until stopped.

    Raises:
        TargetError: no target was named, or it cannot be loaded.
        SettingsError: a setting is wrong or the combination is unsafe.
    """
    from gatepost.configuration.loading import TargetError, load_target  # noqa: PLC0415 - not needed for --help
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - likewise

    settings = load_settings(overrides_of(options))
    target = options.target or settings.server.handler
    if not target:
        raise TargetError("Nothing to serve: name a target, such as gatepost serve notes:server, or set MCP_HANDLER.")
    os.environ.update(overrides_of(options))  # which a target reads that calls `create_app` itself
    serve_over_http(lambda: load_target(target), options, settings)


def overrides_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the settings that were given as options."""
    given = {
        "MCP_HOST": options.host,
        "MCP_PORT": options.port,
        "MCP_UDS": options.uds,
        "MCP_FD": options.fd,
        "MCP_REUSE_PORT": "true" if options.reuse_port else None,
        "MCP_PUBLIC_URL": options.public_url,
        "MCP_WORKERS": getattr(options, "workers", None),
    }
    return {name: value for name, value in given.items() if value is not None}


def serve_over_http(load: Callable[[], Any], options: argparse.Namespace, settings: Settings) -> None:
    """Serve what `load` returns until stopped; raises as `serve`."""
    from starlette.middleware import Middleware  # noqa: PLC0415 - not needed for --help

    from gatepost.app import has_served_by_workers, serve_target, this_worker  # noqa: PLC0415 - likewise
    from gatepost.configuration.loading import load_target  # noqa: PLC0415 - likewise

    # Ctrl-C is how a server is stopped; by the time it shows here, open requests have been answered.
    with contextlib.suppress(KeyboardInterrupt):
        if has_served_by_workers(settings):
            return
        # Before the target is loaded, which may take long: it is not to outlive its parent meanwhile.
        worker = this_worker()
        provider = None
        if options.single_user:
            from gatepost.identity.single_user import SingleUserProvider  # noqa: PLC0415 - only in this mode

            provider = SingleUserProvider()
        serve_target(
            load(),
            settings=settings,
            worker=worker,
            provider=provider,
            title=options.title,
            middleware=[Middleware(load_target(name)) for name in options.middleware],
        )
