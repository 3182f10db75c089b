"""Put proxies in front of Gatepost servers and look what comes through; `make proxies` calls this.

    python -m tools.proxies.run [--only nginx] [--keep FOLDER]

Needs the proxies' programs; on Debian `apt-get install nginx haproxy apache2 caddy varnish squid` brings them. Each
runs the file in `deploy/proxies`, with free ports, in front of a server of its own. The table is printed and, when all
ran, written into `docs/proxies.md`, whose configurations are those files.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2

from tools.clients import table
from tools.clients.gatepost_server import ROOT, GatepostServer
from tools.clients.terminal import end_group
from tools.conformance.suite import free_port
from tools.proxies.checks import COLUMNS, Place, examine
from tools.proxies.processes import PROXIES, Proxy, start, version_of
from tools.proxies.visitor import Visitor

PAGE = ROOT / "docs" / "proxies.md"
TARGET = "tools/proxies/target.py:server"
START_SECONDS = 30


def main(arguments: list[str]) -> int:
    """Examine the proxies; return 1 if the flow does not pass one of them, else 0."""
    parser = argparse.ArgumentParser(description="Look what comes through proxies in front of Gatepost.")
    parser.add_argument("--only", choices=[proxy.name for proxy in PROXIES], help="one proxy instead of all")
    parser.add_argument("--keep", type=Path, help="where stores and logs go and stay; else they are removed")
    options = parser.parse_args(arguments)
    chosen = [proxy for proxy in PROXIES if options.only in {None, proxy.name}]
    present = [proxy for proxy in chosen if proxy.found()]
    for proxy in chosen:
        if proxy not in present:
            print(f"{proxy.title} is not installed.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # proxies that change to a user of their own read their configuration below it
        seen = asyncio.run(examine_all(present, folder))
    text = render({f"{proxy.title} {version_of(proxy)}": seen[proxy.name] for proxy in present})
    print(text)
    show_configurations()
    if len(present) == len(PROXIES):
        table.write(PAGE, "proxies", text)
    return int(any(cells[COLUMNS[0]] != "yes" for cells in seen.values()))


async def examine_all(proxies: list[Proxy], folder: Path) -> dict[str, dict[str, str]]:
    """Examine the proxies side by side, as they mostly wait; return what was seen by name and column."""
    found = await asyncio.gather(*(_examine(proxy, folder / proxy.name) for proxy in proxies))
    return dict(zip((proxy.name for proxy in proxies), found, strict=True))


async def _examine(proxy: Proxy, folder: Path) -> dict[str, str]:
    await asyncio.to_thread(folder.mkdir, parents=True)
    port, diary = free_port(), folder / "diary"
    settings = {
        "MCP_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MCP_TRUSTED_PROXIES": "127.0.0.1",
        "PROXIES_DIARY": str(diary),
    }
    server = GatepostServer(TARGET, folder / "data", settings)
    await asyncio.to_thread(server.data.mkdir, mode=0o700)
    place = Place(settings["MCP_PUBLIC_URL"], server, diary)
    await asyncio.to_thread(server.add_owner)
    process = None
    try:
        await asyncio.to_thread(server.start)
        process = start(proxy, folder / "proxy", proxy_port=port, server_port=server.port)
        if not await _answers(place):
            return {COLUMNS[0]: "the proxy does not start"}
        return await examine(place)
    finally:
        if process is not None:
            end_group(process)
        server.stop()


async def _answers(place: Place) -> bool:
    end = time.monotonic() + START_SECONDS
    async with Visitor(place.origin) as visitor:
        while time.monotonic() < end:
            try:
                if (await visitor.http.get("/health")).is_success:
                    return True
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.2)
    return False


def show_configurations() -> None:
    """Put the files of `deploy/proxies` into the page."""
    for proxy in PROXIES:
        table.write(PAGE, f"proxies, {proxy.name}", shown(proxy))


def shown(proxy: Proxy) -> str:
    """Return a configuration as the page has it."""
    return f"```\n{proxy.configuration.read_text(encoding='utf-8').rstrip()}\n```"


def render(seen: Mapping[str, Mapping[str, str]]) -> str:
    """Return the table: a row for each check, a column for each proxy."""
    lines = [f"| | {' | '.join(seen)} |", "|---" * (len(seen) + 1) + "|"]
    lines.extend(f"| {column} | {' | '.join(cells.get(column, '') for cells in seen.values())} |" for column in COLUMNS)
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
