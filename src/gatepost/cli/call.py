"""`gatepost call URL [TOOL] ['{…}']`: log in at an MCP server, ours or anybody's, and list, read or call."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import webbrowser
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from gatepost.cli.terminal import CommandRefused, add_json, missing_scheme, printable, say

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult

    from gatepost.cli.calls.terminal_client import TerminalClient
    from gatepost.client.credentials import TokenSource
    from gatepost.outbound.proxy import ForwardProxy

Item = TypeVar("Item")

_TOKEN_VARIABLE: Final = "GATEPOST_TOKEN"
_PROXIES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_ERAS: Final = {"auto": "auto", "handshake": "legacy", "modern": "2026-07-28"}
_MOST_PAGES: Final = 1000
_USAGE: Final = 2
_INSTALL: Final = (
    'gatepost call speaks MCP by the official client, which is not installed: pip install "gatepost[dev]", or '
    "uvx --with mcp gatepost call …"
)
_NO_OBJECT: Final = (
    "JSON takes one JSON object in single quotes, whose names and texts are in double quotes, such as "
    """'{"text": "milk"}'."""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `call` takes."""
    parser.description = (
        "Call TOOL of the MCP server at URL, or list its tools. Where it asks for a login, a browser is opened, once: "
        "tokens are kept for the next call, for this user alone, and renewed by themselves."
    )
    parser.epilog = (
        f"A token of your own goes into the variable {_TOKEN_VARIABLE} or a file, never into an argument, which other "
        "users of the machine can see. Exit code: 0, 1 for what the tool or the server refuses, 2 for wrong usage; see "
        "docs/call.md."
    )
    parser.add_argument("url", metavar="URL", help="the MCP endpoint, such as https://mcp.example.com/mcp")
    parser.add_argument("tool", nargs="?", metavar="TOOL", help="the tool; without it the tools are listed")
    parser.add_argument("arguments", nargs="?", metavar="JSON", help='its arguments, such as \'{"text": "milk"}\'')
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--prompts", action="store_true", help="list the prompts")
    what.add_argument("--resources", action="store_true", help="list the resources and their templates")
    what.add_argument("--read", metavar="URI", help="read a resource")
    what.add_argument("--logout", action="store_true", help="end the kept tokens at the server, and forget them")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--device", action="store_true", help="log in on another device, by a code (RFC 8628)")
    how.add_argument("--token-file", metavar="FILE", help="a file that holds the token; - for standard input")
    parser.add_argument("--no-browser", action="store_true", help="print the login's address, and open nothing")
    parser.add_argument("--scope", metavar="SCOPES", default="", help="ask for these scopes, separated by spaces")
    parser.add_argument("--client-id", metavar="ID", help="of a client that the server's operator registered")
    parser.add_argument("--redirect-port", metavar="N", type=int, default=0, help="of the redirect URI on 127.0.0.1")
    parser.add_argument(
        "--era", choices=_ERAS, default="auto", help="which MCP to speak (default: what the server does)"
    )
    parser.add_argument("--save", metavar="FOLDER", type=Path, help="keep images, audio and other data as files there")
    add_json(parser)
    parser.set_defaults(run=call)


def call(options: argparse.Namespace) -> None:
    """Do what was asked for.

    Raises:
        CommandRefused: the server, the login or the tool refuses, or the arguments are none.
    """
    _check_url(options.url)
    given = _arguments(options)
    from gatepost.client.refusals import CallRefused  # noqa: PLC0415 - after the arguments are known to be right

    terminal = _terminal()
    proxy = _proxy()
    try:
        credentials = _credentials(options, terminal, proxy)
        if options.logout:
            asyncio.run(_log_out(options.url, credentials))
        else:
            asyncio.run(_run(options, given, credentials, terminal, proxy))
    except CallRefused as refused:
        raise CommandRefused(printable(str(refused))) from None
    finally:
        terminal.end_progress()


def _check_url(url: str) -> None:
    """Raise CommandRefused for an address that no token may be sent to."""
    from gatepost.outbound.addresses import is_server_url  # noqa: PLC0415 - not for --help

    if not is_server_url(url.partition("?")[0]) or urlsplit(url).fragment:
        raise CommandRefused(
            f"{missing_scheme(url)}URL takes the address of an MCP endpoint, such as https://mcp.example.com/mcp; "
            "http on this machine only.",
            exit_code=_USAGE,
        )


def _arguments(options: argparse.Namespace) -> dict[str, Any]:
    if options.tool is not None and (options.prompts or options.resources or options.read or options.logout):
        raise CommandRefused("--prompts, --resources, --read and --logout take no TOOL.", exit_code=_USAGE)
    if not 0 <= options.redirect_port < 65_536:  # noqa: PLR2004 - RFC 9293 section 3.1
        raise CommandRefused("--redirect-port takes a port number.", exit_code=_USAGE)
    try:
        given = json.loads(options.arguments or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise CommandRefused(_NO_OBJECT, exit_code=_USAGE)
    return given


def _terminal() -> TerminalClient:
    from gatepost.cli.calls.terminal_client import TerminalClient  # noqa: PLC0415 - as above

    return TerminalClient(is_live=sys.stderr.isatty(), can_ask=sys.stdin.isatty() and sys.stderr.isatty())


def _proxy() -> ForwardProxy | None:
    """Return the proxy of the environment; the settings of servers are none of a client's business."""
    from gatepost.configuration.forward_proxy import forward_proxy  # noqa: PLC0415 - as above
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - likewise

    named = {name: value for name in _PROXIES if (value := os.environ.get(name))}
    return forward_proxy(load_settings(environment=named, env_file=None))


def _credentials(options: argparse.Namespace, terminal: TerminalClient, proxy: ForwardProxy | None) -> TokenSource:
    from gatepost.cli.calls.waiting import blocking  # noqa: PLC0415 - likewise
    from gatepost.client.credentials import GivenToken, KeptTokenSource, LoginWays  # noqa: PLC0415 - as above
    from gatepost.client.kept_tokens import TokenFiles, token_folder  # noqa: PLC0415 - likewise
    from gatepost.outbound.fetching import system_trust  # noqa: PLC0415 - likewise
    from gatepost.outbound.named_hosts import resolve  # noqa: PLC0415 - likewise
    from gatepost.outbound.transport import way_to  # noqa: PLC0415 - likewise

    token = _given_token(options.token_file)
    if token is not None and not options.logout:
        return GivenToken(token)

    async def open_url(url: str) -> None:
        terminal.tell(f"Log in here, to go on: {url}")
        if not options.no_browser:
            await blocking(lambda: webbrowser.open(url))

    def show_code(where: str, code: str, whole: str | None) -> None:
        terminal.tell(f"On any device, open {where} and type the code {code}")
        if whole is not None:
            terminal.tell(f"or open {whole}")

    return KeptTokenSource(
        url=options.url,
        files=TokenFiles(token_folder(dict(os.environ), Path.home())),
        transport=lambda url: way_to(url, proxy, system_trust),
        resolve=None if proxy is not None and proxy.resolves_names else resolve,
        ways=LoginWays(
            by="device" if options.device else "browser",
            open_url=open_url,
            show_code=show_code,
            scopes=tuple(options.scope.split()),
            client_id=options.client_id,
            port=options.redirect_port,
        ),
    )


def _given_token(file: str | None) -> str | None:
    """Return the token that somebody has; None where nobody gave one."""
    from gatepost.resource.bearer import is_bearer_token  # noqa: PLC0415 - as above

    try:
        if file is None:
            token = os.environ.get(_TOKEN_VARIABLE, "").strip()
        else:
            token = (sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise CommandRefused(f"{file} cannot be read: {why}.", exit_code=_USAGE) from None
    if not token and file is None:
        return None
    if not is_bearer_token(token):
        raise CommandRefused(
            f"{file or _TOKEN_VARIABLE} holds something else than one token (RFC 6750 section 2.1).", exit_code=_USAGE
        )
    return token


async def _log_out(url: str, credentials: TokenSource) -> None:
    from gatepost.client.credentials import KeptTokenSource  # noqa: PLC0415 - as above
    from gatepost.client.refusals import CallRefused  # noqa: PLC0415 - likewise

    assert isinstance(credentials, KeptTokenSource)  # noqa: S101 - without a given token; tells mypy
    try:
        is_ended = await credentials.log_out()
    except CallRefused as refused:
        file = credentials.files.path_of(url)
        raise CallRefused(
            f"{refused} The tokens still count and are kept; to forget them anyway, remove {file}."
        ) from None
    if is_ended is None:
        say(f"Nothing is kept of {url}.")
    elif is_ended:
        say(f"The access to {url} has ended, and is forgotten.")
    else:
        say(f"The tokens of {url} are forgotten; the server has no way to end them, so they last until they expire.")


async def _run(
    options: argparse.Namespace,
    given: dict[str, Any],
    credentials: TokenSource,
    terminal: TerminalClient,
    proxy: ForwardProxy | None,
) -> None:
    """Open a session, and do what was asked for in it."""
    from gatepost.client.session import BearerAuth, SessionOptions, connected, until_refused  # noqa: PLC0415 - as above

    auth = BearerAuth(credentials)
    session = SessionOptions(
        mode=_ERAS[options.era], proxy=proxy, on_log=terminal.on_log, on_elicitation=terminal.on_elicitation
    )

    async def work() -> tuple[list[str], str | None]:
        async with connected(options.url, auth, session) as client:
            return await _done(client, options, given, terminal)

    lines, refusal = await until_refused(auth, lambda: _explained(work, options.url, proxy))
    terminal.end_progress()
    for line in lines:
        say(line)
    if refusal is not None:
        raise CommandRefused(refusal)


async def _explained(work: Callable[[], Awaitable[Item]], url: str, proxy: ForwardProxy | None) -> Item:
    """Do it; what the official client raises becomes a sentence."""
    import httpx2  # noqa: PLC0415 - as above

    from gatepost.cli.calls.mistyped import refusal_of  # noqa: PLC0415 - likewise
    from gatepost.client.refusals import CallRefused  # noqa: PLC0415 - likewise
    from gatepost.outbound.fetching import system_trust  # noqa: PLC0415 - likewise
    from gatepost.outbound.transport import way_to  # noqa: PLC0415 - likewise

    try:
        from mcp import MCPError  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise CallRefused(_INSTALL) from None
    try:
        return await work()
    except Exception as raised:  # noqa: BLE001 - what is none of these is raised again
        error = _first(raised)
        if isinstance(error, MCPError):
            why = await refusal_of(error, url, lambda address: way_to(address, proxy, system_trust))
        elif isinstance(error, httpx2.HTTPError | OSError):
            why = f"{url} cannot be reached ({type(error).__name__}: {error})."
        elif isinstance(error, RuntimeError | ValueError):
            why = f"{url} does not speak MCP as it should ({type(error).__name__}: {error})."
        else:
            raise error from None
        raise CallRefused(why) from None


def _first(error: BaseException) -> BaseException:
    """Return what was raised in a group of tasks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _done(
    client: Client, options: argparse.Namespace, given: dict[str, Any], terminal: TerminalClient
) -> tuple[list[str], str | None]:
    """Return the lines to print, and why it failed if it did."""
    from gatepost.cli.calls.results import Shown  # noqa: PLC0415 - as above

    if options.read is not None:
        read = await client.read_resource(options.read)
        shown = Shown(options.read, options.save)
        return ([_plain(read)] if options.json else shown.contents(read.contents)), None
    if options.tool is not None:
        result, refusal = await _called(client, options, given, terminal)
        return ([_plain(result)] if options.json else Shown(options.tool, options.save).result(result)), refusal
    return await _listing(client, options), None


async def _called(
    client: Client, options: argparse.Namespace, given: dict[str, Any], terminal: TerminalClient
) -> tuple[CallToolResult, str | None]:
    """Call a tool; where that fails, the tools are listed to see whether its name was mistyped."""
    from mcp import MCPError  # noqa: PLC0415 - an extra

    from gatepost.cli.calls.mistyped import unlisted_tool  # noqa: PLC0415 - as above
    from gatepost.client.refusals import CallRefused  # noqa: PLC0415 - likewise

    async def mistyped() -> str | None:
        return await unlisted_tool(options.tool, options.url, lambda: _every(client.list_tools, "tools"))

    try:
        result = await client.call_tool(options.tool, given, progress_callback=terminal.on_progress)
    except MCPError:
        if (sentence := await mistyped()) is not None:
            raise CallRefused(sentence) from None
        raise
    if not result.is_error:
        return result, None
    return result, printable(await mistyped() or "The tool says that it failed.")


async def _listing(client: Client, options: argparse.Namespace) -> list[str]:
    """Return the lines about tools, or what else was asked for; a server need not know prompts or resources."""
    from gatepost.cli.calls import lists  # noqa: PLC0415 - as above

    offered = client.server_capabilities
    if options.prompts:
        prompts = () if offered.prompts is None else await _every(client.list_prompts, "prompts")
        return _listed(prompts, lists.prompt_lines, options, "prompts")
    if options.resources:
        found = list[Any]()
        if offered.resources is not None:
            found += await _every(client.list_resources, "resources")
            found += await _every(client.list_resource_templates, "resource_templates")
        return _listed(found, lists.resource_lines, options, "resources")
    return _listed(await _every(client.list_tools, "tools"), lists.tool_lines, options, "tools")


async def _every(page_at: Callable[..., Awaitable[Any]], name: str) -> list[Any]:
    """Return the items of all pages of a list."""
    items, cursor = list[Any](), None
    for _ in range(_MOST_PAGES):
        page = await page_at(cursor=cursor)
        items += getattr(page, name)
        cursor = page.next_cursor
        if cursor is None:
            break
    return items


def _listed(
    items: Sequence[Any], lines_of: Callable[[Any], Iterable[str]], options: argparse.Namespace, name: str
) -> list[str]:
    if options.json:
        return [_plain(item) for item in items]
    if not items:
        return [f"The server shows no {name} to this user."]
    return [line for item in items for line in lines_of(item)]


def _plain(model: Any) -> str:
    """Return what came as JSON on a line, in which nothing needs to be cleaned."""
    return json.dumps(model.model_dump(mode="json", by_alias=True, exclude_none=True))
