"""Trials: a server of somebody else's is started once before anything is served, and says who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gatepost.configuration.loading import TargetUnavailable
from gatepost.fronts.command import Command


def try_commands(target: Any, *, say: Callable[[str], None]) -> None:
    """Try each `Command` that is to be served and was not tried yet, and keep what it said of itself.

    Outside of an event loop.

    Args:
        target: as for `create_app`.
        say: gets a sentence every five seconds while one keeps it waiting.

    Raises:
        TargetUnavailable: one does not start.
    """
    targets = target.values() if isinstance(target, Mapping) else (target,)
    for each in targets:
        if isinstance(each, Command) and each.introduction is None:
            _try(each, say)


def _try(command: Command, say: Callable[[str], None]) -> None:
    from gatepost.fronts.backend import BackendUnavailable  # noqa: PLC0415 - most servers have none behind them
    from gatepost.fronts.introduction import introduce  # noqa: PLC0415 - likewise

    backend, seconds = command.backend(), command.sharing.start_seconds

    def on_wait(passed: float) -> None:
        say(f"gatepost: waiting for the first answer of {backend.name}, {passed:g} of at most {seconds:g} seconds")

    try:
        command.introduction = asyncio.run(introduce(backend, seconds, on_wait))
    except BackendUnavailable as error:
        sentence = f"{backend.name} does not start as an MCP server. {error}"
        raise TargetUnavailable("\n".join([sentence, *backend.last_words().splitlines()])) from None
