"""What extensions of the protocol find at an endpoint, and those that the operator has every server use."""

from __future__ import annotations

from gatepost.assembly.core import Core
from gatepost.extensions.tasks.settings import AFTER, PER_USER, TASKS
from gatepost.server.extension_host import ExtensionHost
from gatepost.server.server import Server


def extension_host(path: str, server: Server, core: Core) -> ExtensionHost:
    """Return it for a server at a path, which uses from now on what the settings ask for."""
    settings = core.settings.server
    if settings.tasks_after_seconds is not None:
        from gatepost.extensions.tasks.extension import Tasks  # noqa: PLC0415 - most servers have no tasks

        server.use(Tasks())
    return ExtensionHost(
        store=core.store,
        place=path,
        now=core.now,
        random_bytes=core.random_bytes,
        key_ring=core.key_ring,
        ears=core.ears,
        telemetry=core.telemetry,
        settings={TASKS: {AFTER: settings.tasks_after_seconds, PER_USER: settings.tasks_per_user}},
    )
