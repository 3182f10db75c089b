"""`Command`: a stdio MCP server to put behind an endpoint, in code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gatepost.fronts.sharing import SHARES, Share, Sharing
from gatepost.fronts.user_name import USER

if TYPE_CHECKING:
    from gatepost.fronts.introduction import Introduction
    from gatepost.fronts.stdio_backend import StdioBackend
    from gatepost.resource.scope_map import ScopeMap


class Command:
    """An MCP server on standard input and output: `create_app(Command("npx", "-y", "some-server"))`.

    It runs unchanged, in a process for each client session, and never sees a token or what Gatepost is set up with.

    Args:
        arguments: the command and its arguments, each a string or a path; `{user}` in them becomes a name of the user.
        env: the process's environment beside PATH, HOME, LANG, LC_ALL and TZ; `{user}` likewise.
        cwd: its working directory; our own when None.
        share: who shares a process: `"session"`, nobody but one client's session; `"user"`, what one user opens;
            `"all"`, everybody, who then see each other's state.
        serial: whether a process is asked one thing at a time.
        start_seconds: how long it may take until it answers.
        idle_seconds: how long a process lives without being used.
        most_processes: how many there may be.
        most_per_user: how many of them may be one user's.
        spares: how many are started before they are needed; none where `{user}` stands for somebody, or all share.
        scopes: what its tools, prompts and resources need; what MCP_SCOPES_FILE says when None.

    Raises:
        ValueError: nothing is to be run, or a value cannot be meant.
    """

    def __init__(
        self,
        *arguments: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        share: Share = "session",
        serial: bool = False,
        start_seconds: float = Sharing.start_seconds,
        idle_seconds: float = Sharing.idle_seconds,
        most_processes: int = Sharing.most_sessions,
        most_per_user: int = Sharing.most_per_user,
        spares: int = Sharing.spares,
        scopes: ScopeMap | None = None,
    ) -> None:
        if not arguments or not arguments[0]:
            raise ValueError("name the command to run, such as Command('npx', '-y', 'some-server')")
        if share not in SHARES:
            raise ValueError(f"share= takes one of {', '.join(SHARES)}")
        if min(start_seconds, idle_seconds, most_processes, most_per_user) <= 0 or spares < 0:
            raise ValueError("times and numbers of processes are greater than 0; spares may be 0")
        self.arguments = tuple(os.fspath(argument) for argument in arguments)
        if share == "all" and any(USER in text for text in (*self.arguments, *(env or {}).values())):
            raise ValueError(f'{USER} names nobody with share="all"')
        self.env = dict(env or {})
        self.cwd = None if cwd is None else os.fspath(cwd)
        self.sharing = Sharing(
            share=share,
            is_serial=serial,
            start_seconds=start_seconds,
            idle_seconds=idle_seconds,
            most_sessions=most_processes,
            most_per_user=most_per_user,
            spares=spares,
        )
        self.scopes = scopes
        self.introduction: Introduction | None = None
        """What the server said when it was tried; None until then."""
        self.is_tried = False
        """Whether it has been tried already, and may be served whatever it said."""

    def backend(self) -> StdioBackend:
        """Return what starts the processes."""
        from gatepost.fronts.stdio_backend import StdioBackend, environment_of  # noqa: PLC0415 - once it is served

        environment = environment_of(self.env, os.environ)
        return StdioBackend(arguments=self.arguments, environment=environment, directory=self.cwd)
