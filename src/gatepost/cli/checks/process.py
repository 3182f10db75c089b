"""What the server needs of this machine: its address, open files, and processors for its workers."""

from __future__ import annotations

import os
from typing import Final

from gatepost.cli.checks.finding import Finding, wrong
from gatepost.configuration.sections import ServerSettings
from gatepost.configuration.settings import SettingsError

_ADDRESS: Final = "address"
_LIMITS: Final = "open files"
_WORKERS: Final = "workers"
_FEW: Final = 1000
"""Connections below which an honest crowd of open streams does not fit."""


def address_found(server: ServerSettings, *, serves_already: bool) -> Finding:
    """Say whether the address can be listened on; `serves_already`: this very server answers there."""
    from gatepost.listening.listeners import Where, refuse_taken  # noqa: PLC0415 - after the arguments are right

    if server.fd is not None:
        return Finding(_ADDRESS, "skipped", f"The file descriptor {server.fd} is given by whoever starts the server.")
    where = Where(host=server.host, port=server.port, uds=server.uds, reuse_port=server.reuse_port)
    said = str(server.uds) if server.uds is not None else f"{server.host} port {server.port}"
    if serves_already:
        return Finding(_ADDRESS, "ok", f"{said} is taken by this very server, which runs.")
    try:
        refuse_taken(where)
    except SettingsError as error:
        return wrong(_ADDRESS, error.sentences)[0]
    return Finding(_ADDRESS, "ok", f"{said} is free.")


def limits_found(server: ServerSettings) -> list[Finding]:
    """Say how many connections fit under the limit of open files, and whether there are processors for workers."""
    from gatepost.listening.open_files import connections_that_would_fit  # noqa: PLC0415 - as above
    from gatepost.listening.serving import MOST_CONNECTIONS  # noqa: PLC0415 - likewise

    fits = connections_that_would_fit(MOST_CONNECTIONS)
    each = " in each worker" if server.workers > 1 else ""
    said = f"{fits} connections fit{each} under the limit of open files"
    if fits < _FEW:
        advice = "raise the hard limit (ulimit -Hn, LimitNOFILE= in a systemd unit)"
        found = [Finding(_LIMITS, "note", f"{said}, which is few: {advice}.")]
    else:
        found = [Finding(_LIMITS, "ok", f"{said}.")]
    processors = os.cpu_count() or 1
    if server.workers > processors:
        said = (
            f"MCP_WORKERS={server.workers}, and this machine has {processors} processors: more workers serve no more."
        )
        found.append(Finding(_WORKERS, "note", said))
    return found
