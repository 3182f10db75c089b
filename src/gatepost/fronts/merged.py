"""`Merged`: several servers at one endpoint, in code."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gatepost.server.server import Server

if TYPE_CHECKING:
    from gatepost.resource.scope_map import ScopeMap

PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Merged:
    """Several servers at one endpoint.

        create_app(Merged({"github": Remote("https://..."), "files": Command("npx", "-y", "..."), "": server}))

    Tools and prompts are called `github_search`; those of the server under `""` keep their names. URIs of resources
    stay what they are. A server that does not answer is left out of lists, and the others go on.

    Args:
        targets: what is merged, by its prefix, of ASCII letters, digits, `_` and `-`: each a `Server`, a `Command`, a
            `Remote`, or a JSON-RPC function.
        name: how programs call all of it.
        title: how people call it; the prefixes by default.
        instructions: for models; by default what each server says, under its prefix.
        scopes: what tools, prompts and resources need, by their names here; what MCP_SCOPES_FILE says when None.
            Neither is for a `Server`, which declares its own.
        wait_seconds: how long lists and the beginning of a session wait for a server before they go on without it.

    Raises:
        ValueError: nothing is merged, a prefix is none, or a time is not greater than 0.
        ToolDefinitionError: two `Server` declare one name or URI, or one of them is included already.
        TypeError: one of the targets is another `Merged`.
    """

    def __init__(
        self,
        targets: Mapping[str, Any],
        *,
        name: str = "merged",
        title: str | None = None,
        instructions: str | None = None,
        scopes: ScopeMap | None = None,
        wait_seconds: float = 10.0,
    ) -> None:
        if not targets:
            raise ValueError("name what is to be merged, such as Merged({'files': Command('files-server')})")
        for prefix, target in targets.items():
            if prefix != "" and PREFIX.fullmatch(prefix) is None:
                raise ValueError(f"{prefix!r} is no prefix of names, which has letters, digits, _ and - only")
            if isinstance(target, Merged):
                raise TypeError("what is merged cannot be merged again: name its servers here")
        if wait_seconds <= 0:
            raise ValueError("wait_seconds is greater than 0")
        self.targets = dict(targets)
        self.name = name
        self.title = title or ", ".join(prefix for prefix in targets if prefix) or None
        self.instructions = instructions
        self.scopes = scopes
        self.wait_seconds = wait_seconds
        self.servers = {prefix: each for prefix, each in targets.items() if isinstance(each, Server)}
        """Those that declare what they offer here."""
        self.own = _one_server(name, self.servers)
        """All of them as one, whose names have their prefixes; None without any."""

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], *, environment: Mapping[str, str] | None = None, **options: Any
    ) -> Merged:
        """Return the servers that clients are configured with: `Merged.from_config({"mcpServers": {...}})`.

        Tools have the name of their server in front, unless there is only one.

        Args:
            config: the JSON of such a file.
            environment: what `${NAME}` in it stands for; our own environment when None.
            options: those of `Merged`.

        Raises:
            ValueError: it names no server, or something in it cannot be meant.
        """
        from gatepost.fronts.server_file import servers_in  # noqa: PLC0415 - of those who have such a file

        servers: dict[str, Any] = dict(servers_in(config, os.environ if environment is None else environment))
        return cls(servers if len(servers) > 1 else {"": next(iter(servers.values()))}, **options)


def _one_server(name: str, servers: Mapping[str, Server]) -> Server | None:
    if not servers or list(servers) == [""]:
        return servers.get("")
    one = Server(name)
    for prefix, server in servers.items():
        one.include(server, prefix=prefix or None)
    return one
