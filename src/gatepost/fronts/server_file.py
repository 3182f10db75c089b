"""The file in which clients name their MCP servers: the object `mcpServers`, or `servers` as VS Code has it.

{"mcpServers": {"files": {"command": "npx", "args": ["-y", "..."], "env": {"KEY": "${KEY}"}},
"github": {"url": "https://...", "headers": {"Authorization": "Bearer ${TOKEN}"}}}}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gatepost.fronts.command import Command
from gatepost.fronts.remote import Remote

_TABLES: Final = ("mcpServers", "servers")
_URLS: Final = ("url", "serverUrl", "httpUrl")
_HTTP: Final = frozenset({"http", "streamable-http", "streamable_http", "streamablehttp"})
_KNOWN: Final = frozenset(
    {"command", "args", "env", "cwd", "type", "transport", "headers", "disabled", "enabled", "gatepost", *_URLS}
)
_PLACE: Final = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_NOT_IN_PREFIXES: Final = re.compile(r"[^A-Za-z0-9_-]+")


class ServerFileError(ValueError):
    """Something in the file cannot be meant; one sentence, without values, which may be secrets."""


def servers_in(
    document: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    options: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Command | Remote]:
    """Return the servers that a file names and that are not disabled, by what their names begin with here.

    Args:
        document: what the file says. `${NAME}` and `${NAME:-default}` in its values stand for variables.
        environment: the variables.
        options: those of `Command` and `Remote` that count where an entry's `gatepost` says nothing else.
        say: gets a sentence about what is in an entry and not heeded.

    Raises:
        ServerFileError: it names none, or something in it cannot be meant.
    """
    table = next((document[name] for name in _TABLES if name in document), None)
    if not isinstance(table, Mapping):
        raise ServerFileError('It names no servers: there is no object "mcpServers".')
    servers: dict[str, Command | Remote] = {}
    for name, entry in table.items():
        if not isinstance(entry, Mapping):
            raise ServerFileError(f'"{name}" is no object.')
        if entry.get("disabled") is True or entry.get("enabled") is False:
            continue
        prefix = _NOT_IN_PREFIXES.sub("_", name).strip("_")
        if not prefix or prefix in servers:
            raise ServerFileError(f'"{name}" needs another name: its tools would be called {prefix}_...')
        unheeded = sorted(entry.keys() - _KNOWN)
        if unheeded:
            say(f'"{name}": {", ".join(unheeded)} {"is" if len(unheeded) == 1 else "are"} not heeded.')
        servers[prefix] = _Entry(name, entry, environment, options or {}).server()
    if not servers:
        raise ServerFileError("It names no server that is not disabled.")
    return servers


class _Entry:
    """One server of the file."""

    def __init__(
        self, name: str, entry: Mapping[str, Any], environment: Mapping[str, str], options: Mapping[str, Any]
    ) -> None:
        self._name, self._entry, self._environment, self._options = name, entry, environment, options

    def server(self) -> Command | Remote:
        url = next((self._entry[name] for name in _URLS if name in self._entry), None)
        kind = self._entry.get("type", self._entry.get("transport"))
        if kind == "sse":
            raise self._wrong('has the transport "sse", of 2024-11-05, which is not spoken here; name its URL for http')
        if (url is None) == ("command" not in self._entry):
            raise self._wrong('has to have a "command", or else a "url"')
        if kind is not None and str(kind).lower() not in ({"stdio"} if url is None else _HTTP):
            raise self._wrong('has a "type" that does not go with what it names')
        return self._command() if url is None else self._remote(url)

    def _command(self) -> Command:
        words = [self._text("command", self._entry["command"]), *self._texts("args")]
        env = {str(name): self._text("env", value) for name, value in self._table("env").items()}
        given = self._given({"most_sessions": "most_processes"})
        cwd = self._entry.get("cwd")
        try:
            return Command(*words, env=env, cwd=None if cwd is None else self._text("cwd", cwd), **given)
        except (TypeError, ValueError) as error:
            raise self._refused(error) from None

    def _remote(self, url: Any) -> Remote:
        headers = {str(name): self._text("headers", value) for name, value in self._table("headers").items()}
        given = self._given({"most_processes": "most_sessions"})
        given.pop("spares", None)
        try:
            return Remote(self._text("url", url), headers=headers, **given)
        except (TypeError, ValueError) as error:
            raise self._refused(error) from None

    def _given(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Return the options of the server; a number of processes for one is one of sessions for another."""
        own = self._table("gatepost")
        return {names.get(name, name): value for name, value in {**self._options, **own}.items()}

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self._entry.get(name)
        if table is not None and not isinstance(table, Mapping):
            raise self._wrong(f'has a "{name}" that is no object')
        return table or {}

    def _texts(self, name: str) -> Iterable[str]:
        texts = self._entry.get(name)
        if texts is not None and not isinstance(texts, list):
            raise self._wrong(f'has "{name}" that are no list')
        return [self._text(name, text) for text in texts or ()]

    def _text(self, where: str, value: Any) -> str:
        """Return a text with what its places stand for."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._wrong(f'has something in "{where}" that is no text')
        return _PLACE.sub(lambda found: self._value(where, found[1]), str(value))

    def _value(self, where: str, place: str) -> str:
        variable = _VARIABLE.fullmatch(place)
        if variable is None:
            raise self._wrong(f'has ${{{place}}} in "{where}", which nobody fills in here; a variable is ${{NAME}}')
        value = self._environment.get(variable[1], variable[2])
        if value is None:
            raise self._wrong(f'needs the variable {variable[1]}, for "{where}", which is not set')
        return value

    def _refused(self, error: Exception) -> ServerFileError:
        if isinstance(error, TypeError):
            return self._wrong('has an option in "gatepost" that there is not, or that is no such value')
        return ServerFileError(f'"{self._name}": {error}.')

    def _wrong(self, what: str) -> ServerFileError:
        return ServerFileError(f'"{self._name}" {what}.')
