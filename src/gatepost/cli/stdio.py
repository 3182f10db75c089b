"""`gatepost stdio TARGET`: serve one client on standard input and output."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from gatepost.cli.terminal import complain

_WAITS: Final = (
    "This waits for an MCP client, which writes JSON-RPC messages to standard input, each on a line; clients start "
    "this command themselves. Ctrl-D or Ctrl-C ends it."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `stdio` takes."""
    parser.description = (
        "Serve TARGET to the program that starts this one. There is no login and no scope: whoever starts the process "
        "may do everything. Logs go to standard error."
    )
    parser.add_argument(
        "target", metavar="TARGET", help="module:name or path/file.py:name; without a name its only Server"
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        type=_header,
        metavar="NAME:VALUE",
        help="a request header for tools to see (ctx.request.headers); may be repeated",
    )
    parser.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> None:
    """Serve until the input ends or a signal comes.

    Raises:
        TargetError: the target cannot be loaded or served.
        SettingsError: a setting is wrong.
    """
    from gatepost.assembly.telemetry import observed_by  # noqa: PLC0415 - not needed for --help
    from gatepost.configuration.loading import TargetError, load_target  # noqa: PLC0415 - not needed for --help
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - likewise
    from gatepost.observability.logs import configure_logging  # noqa: PLC0415 - likewise
    from gatepost.stdio.serving import serve_stdio  # noqa: PLC0415 - likewise
    from gatepost.stdio.streams import standard_streams  # noqa: PLC0415 - likewise

    settings = load_settings({})
    is_typed = sys.stdin is not None and sys.stdin.isatty()
    configure_logging(settings.server.log_level, log_format=settings.server.log_format)
    observed = observed_by(settings, shows_figures=False)
    # Taken before the target is loaded: what its modules print while they are imported is no message either.
    with standard_streams() as streams:
        target = load_target(options.target)
        if is_typed:
            complain(_WAITS, f"To try {options.target} in a browser: gatepost dev {options.target}")
        try:
            serve_stdio(
                target,
                streams,
                headers=options.header,
                telemetry=observed.telemetry,
                has_content=settings.observability.has_content,
            )
        except TypeError as error:
            raise TargetError(f"{options.target} cannot be served: {error}.") from error
        finally:
            observed.flush()


def _header(text: str) -> tuple[str, str]:
    from gatepost.stdio.serving import encoded_headers  # noqa: PLC0415 - only where a header is given

    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("write NAME:VALUE")
    try:
        encoded_headers([(name, value)])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name, value
