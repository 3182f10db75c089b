"""`gatepost publish TARGET`: write the `server.json` by which the MCP registry lists a server, and check it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost.cli.terminal import CommandRefused, say

if TYPE_CHECKING:
    from gatepost.web.mcp.discovery import Described

_FILE: Final = Path("server.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `publish` takes."""
    parser.description = (
        "Write server.json, by which the MCP registry lists this server, and say what the registry would refuse. It is "
        "uploaded by the registry's own program: mcp-publisher login, then mcp-publisher publish."
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="module:name or path/file.py:name; without a name its only Server (default: the variable MCP_HANDLER)",
    )
    parser.add_argument("--public-url", help="address that clients use (MCP_PUBLIC_URL)")
    parser.add_argument("--namespace", help="what the name begins with, such as com.example (MCP_SERVER_NAMESPACE)")
    parser.add_argument("--path", help="which server, where TARGET has several by their paths")
    parser.add_argument("--output", type=Path, default=_FILE, metavar="FILE", help="file to write (server.json)")
    parser.add_argument("--dry-run", action="store_true", help="print it, and write nothing")
    parser.set_defaults(run=publish)


def publish(options: argparse.Namespace) -> None:
    """Write or print the entry.

    Raises:
        CommandRefused: the registry would refuse it, or the file cannot be written.
        SettingsError: a setting is wrong.
        TargetError: there is no target, or it cannot be loaded.
    """
    from gatepost.configuration.deployment import canonical_url  # noqa: PLC0415 - not needed for --help
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - likewise
    from gatepost.protocol.server_card import (  # noqa: PLC0415 - likewise
        REGISTRY_PROOF_PATH,
        namespace_of,
        objections_to_entry,
        registry_entry,
    )
    from gatepost.web.mcp.discovery import distinct_names  # noqa: PLC0415 - likewise

    given = {"MCP_PUBLIC_URL": options.public_url, "MCP_SERVER_NAMESPACE": options.namespace}
    settings = load_settings({name: value for name, value in given.items() if value is not None})
    # 1. Which server, and what is it called?
    described = _described(options.target or settings.server.handler)
    # The address alone: keys and store of the server that it names are elsewhere, as a rule.
    origin = canonical_url(settings.server.public_url or "http://localhost")
    names = distinct_names(settings.server.namespace or namespace_of(origin), described)
    chosen = _chosen([each.path for each in described], options.path)
    url = origin + described[chosen].path
    entry = registry_entry(described[chosen].info, name=names[chosen], url=url)
    # 2. Would the registry take it?
    text = json.dumps(entry, indent=2, ensure_ascii=False) + "\n"
    objections = objections_to_entry(entry)
    if options.dry_run:
        say(text.rstrip())
    if objections:
        raise CommandRefused(*objections)
    if options.dry_run:
        return
    # 3. Write it.
    _write(options.output, text)
    say(f"{options.output} says {names[chosen]} is at {url}.")
    if settings.server.registry_proof is None:
        say(f"The registry asks for {REGISTRY_PROOF_PATH} at your domain: MCP_REGISTRY_AUTH is what stands there.")
    say("Next: mcp-publisher login, then mcp-publisher publish.")


def _described(target: str | None) -> list[Described]:
    from gatepost.configuration.deployment import MCP_PATH  # noqa: PLC0415 - likewise
    from gatepost.configuration.loading import TargetError, load_target  # noqa: PLC0415 - likewise
    from gatepost.server.methods.served_server import ServedServer  # noqa: PLC0415 - likewise
    from gatepost.server.server import Server  # noqa: PLC0415 - likewise
    from gatepost.web.mcp.discovery import Described  # noqa: PLC0415 - likewise

    if not target:
        raise TargetError("Nothing to publish: name a target, such as gatepost publish notes:server.")
    loaded: Any = load_target(target)
    served = loaded if isinstance(loaded, Mapping) else {MCP_PATH: loaded}
    found = [
        Described(path.rstrip("/"), ServedServer(each).info)
        for path, each in served.items()
        if isinstance(each, Server)
    ]
    if not found:
        raise CommandRefused(f"{target} is no gatepost.Server, and says nothing of itself that could be published.")
    return found


def _chosen(paths: list[str], path: str | None) -> int:
    if path is None and len(paths) == 1:
        return 0
    if path is None or path.rstrip("/") not in paths:
        raise CommandRefused(f"Say which server by --path: {', '.join(paths)}.", exit_code=2)
    return paths.index(path.rstrip("/"))


def _write(file: Path, text: str) -> None:
    """Write the file, unless something else stands there: whoever wrote more into it keeps it."""
    try:
        if file.exists() and file.read_text(encoding="utf-8") != text:
            raise CommandRefused(f"{file} is there and says something else; move it away, or name another --output.")
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandRefused(f"{file} cannot be written: {error.strerror}.") from None
