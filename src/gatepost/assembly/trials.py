"""Trials: a server of somebody else's is started or asked once before anything is served, and says who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gatepost.assembly.endpoints import way_for_fronts
from gatepost.assembly.imported_later import is_command, is_merged, is_remote
from gatepost.configuration.loading import TargetUnavailable
from gatepost.configuration.settings import Settings

if TYPE_CHECKING:
    from gatepost.fronts.command import Command
    from gatepost.fronts.merged import Merged
    from gatepost.fronts.remote import Remote


def try_fronts(target: Any, settings: Settings, *, say: Callable[[str], None]) -> None:
    """Try each `Command` and `Remote` that is to be served and was not tried yet, and keep what it said of itself.

    Outside of an event loop.

    Args:
        target: as for `create_app`.
        settings: name the way out.
        say: gets a sentence every five seconds while one keeps it waiting, and one about a `Remote` that does not
            answer: it may do so later, so it is served all the same.

    Raises:
        TargetUnavailable: a command does not start.
        SettingsError: the way out cannot be meant.
    """
    targets = target.values() if isinstance(target, Mapping) else (target,)
    for each in targets:
        if is_merged(each):
            _try_merged(each, settings, say)
        elif is_command(each) and each.introduction is None:
            _try(each, say)
        elif is_remote(each) and not each.is_tried:
            _try_remote(each, settings, say)


def _try_merged(merged: Merged, settings: Settings, say: Callable[[str], None]) -> None:
    """Try all side by side. One that does not answer is asked again when somebody comes, unless none does."""
    from gatepost.fronts.backend import BackendUnavailable  # noqa: PLC0415 - as below
    from gatepost.fronts.introduction import introduce  # noqa: PLC0415 - likewise

    failed: list[tuple[str, list[str]]] = []

    async def try_one(prefix: str, front: Command | Remote) -> None:
        front.is_tried = True
        backend = front.backend() if is_command(front) else front.backend(way_for_fronts(settings), None)
        name, seconds = f"{prefix} ({backend.name})" if prefix else backend.name, front.sharing.start_seconds

        def on_wait(passed: float) -> None:
            say(f"gatepost: waiting for the first answer of {name}, {passed:g} of at most {seconds:g} seconds")

        try:
            front.introduction = await introduce(backend, seconds, on_wait)
        except BackendUnavailable as error:
            failed.append((f"{name} does not answer as an MCP server. {error}", backend.last_words().splitlines()))

    async def try_all() -> None:
        await asyncio.gather(*(try_one(prefix, front) for prefix, front in untried.items()))

    fronts = {prefix: each for prefix, each in merged.targets.items() if is_command(each) or is_remote(each)}
    untried = {
        prefix: front
        for prefix, front in fronts.items()
        if not front.is_tried and (is_command(front) or front.upstream is None)
    }
    if not untried:
        return
    asyncio.run(try_all())
    if failed and len(failed) == len(merged.targets):
        raise TargetUnavailable("\n".join(line for sentence, words in failed for line in (sentence, *words)))
    for sentence, words in failed:
        others = "The others are served, and it is tried again when somebody comes."
        say("\n".join(f"gatepost: {line}" for line in (f"{sentence} {others}", *words)))


def _try_remote(remote: Remote, settings: Settings, say: Callable[[str], None]) -> None:
    from gatepost.fronts.backend import BackendUnavailable  # noqa: PLC0415 - as below
    from gatepost.fronts.introduction import introduce  # noqa: PLC0415 - likewise

    remote.is_tried = True
    if remote.upstream is not None:
        # It is asked in the name of those who call, of whom there are none yet.
        return
    backend = remote.backend(way_for_fronts(settings), None)
    try:
        remote.introduction = asyncio.run(introduce(backend, remote.sharing.start_seconds))
    except BackendUnavailable as error:
        say(
            f"gatepost: {remote.url} does not answer as an MCP server. {error} It is served all the same, and tried "
            "again when somebody comes."
        )


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
