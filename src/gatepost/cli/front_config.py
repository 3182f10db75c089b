"""`gatepost front --config FILE`: put the servers of a client's file behind one endpoint."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost.cli.front_remote import refuse_given
from gatepost.cli.terminal import CommandRefused, complain

if TYPE_CHECKING:
    from gatepost.configuration.settings import Settings
    from gatepost.fronts.command import Command
    from gatepost.fronts.merged import Merged
    from gatepost.fronts.remote import Remote

_OF_ONE: Final = ("env", "cwd", "header_file", "upstream", "allow_http")
_OF_ALL: Final = ("share", "start_seconds", "idle_seconds", "most_processes", "most_per_user", "spares")


def servers_of_config(options: argparse.Namespace, settings: Settings) -> Command | Remote | Merged:
    """Return what the file of `--config` names: one server, or several as one.

    Raises:
        CommandRefused: the file cannot be read, or something in it cannot be meant.
    """
    from gatepost.fronts.merged import Merged  # noqa: PLC0415 - not needed for --help
    from gatepost.fronts.server_file import ServerFileError, servers_in  # noqa: PLC0415 - likewise

    refuse_given(options, _OF_ONE, "a command or a URL")
    if settings.server.front_authorization is not None:
        raise CommandRefused("MCP_FRONT_AUTHORIZATION is for one URL: name the header of each server in the file.")
    path = Path(options.config)
    given: dict[str, Any] = {name: value for name in _OF_ALL if (value := getattr(options, name)) is not None}
    if options.serial:
        given["serial"] = True
    try:
        document = _read(path)
        servers = servers_in(document, os.environ, options=given, say=lambda sentence: complain(f"{path}: {sentence}"))
    except ServerFileError as error:
        raise CommandRefused(f"{path}: {error}") from None
    return Merged(servers) if len(servers) > 1 else next(iter(servers.values()))


def _read(path: Path) -> dict[str, Any]:
    """Return what a file says, of JSON or by its name of TOML; raises CommandRefused."""
    if path.suffix.lower() == ".toml":
        from gatepost.configuration.toml_file import read_toml  # noqa: PLC0415 - for such a file alone

        return read_toml(path, setting="--config")
    try:
        document = json.loads(path.expanduser().read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise CommandRefused(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandRefused(f"{path} is not UTF-8.") from None
    except json.JSONDecodeError as error:
        # Without what stands there, which may be a secret.
        raise CommandRefused(f"{path} is not JSON: see line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise CommandRefused(f"{path} is not JSON: it nests too deep.") from None
    if not isinstance(document, dict):
        raise CommandRefused(f"{path} holds no JSON object.")
    return document
