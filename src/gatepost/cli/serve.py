"""`gatepost serve TARGET`: load the target and serve it until a signal comes."""

from __future__ import annotations

import argparse
import contextlib


def run_command(options: argparse.Namespace) -> int:
    """Serve until stopped; return the exit code.

    Raises:
        TargetError: no target was named, or it cannot be loaded.
        SettingsError: a setting is wrong or the combination is unsafe.
    """
    from gatepost.app import run  # noqa: PLC0415 - not needed for --help and the other subcommands
    from gatepost.configuration.loading import TargetError, load_target  # noqa: PLC0415 - likewise
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - likewise

    given = {"MCP_HOST": options.host, "MCP_PORT": options.port, "MCP_PUBLIC_URL": options.public_url}
    settings = load_settings({name: value for name, value in given.items() if value is not None})
    target = options.target or settings.server.handler
    if not target:
        raise TargetError("Nothing to serve: name a target, such as gatepost serve notes:server, or set MCP_HANDLER.")
    provider = None
    if options.single_user:
        from gatepost.identity.single_user import SingleUserProvider  # noqa: PLC0415 - only in this mode

        provider = SingleUserProvider()
    # Ctrl-C is how a server is stopped; by the time it shows here, open requests have been answered.
    with contextlib.suppress(KeyboardInterrupt):
        run(load_target(target), settings=settings, provider=provider)
    return 0
