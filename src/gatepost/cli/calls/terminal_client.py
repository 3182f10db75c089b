"""What a server says and asks while it works: progress, logs, and questions to the person (elicitation)."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from gatepost.cli.calls.lists import kind_of
from gatepost.cli.calls.waiting import blocking
from gatepost.cli.terminal import printable, say_beside

if TYPE_CHECKING:
    from mcp_types import ElicitResult, LoggingMessageNotificationParams

_YES: Final = frozenset({"y", "yes", "true", "1"})
_NO: Final = frozenset({"n", "no", "false", "0"})
_TRIES: Final = 3

AskLine = Callable[[str], str]
"""Shows a question and returns the line that is typed; raises EOFError where nobody types."""


def typed_line(question: str) -> str:
    """Ask on standard error, which `input` does not where standard output is a file or a pipe."""
    say_beside(question, end="")
    return input()


class TerminalClient:
    """Writes to standard error, so that standard output has the result alone.

    Args:
        is_live: whether it is a terminal, where progress is a line that changes.
        can_ask: whether somebody can type.
        ask: asks for a line.
    """

    def __init__(self, *, is_live: bool, can_ask: bool, ask: AskLine = typed_line) -> None:
        self._is_live = is_live
        self._can_ask = can_ask
        self._ask = ask
        self._has_progress = False

    def tell(self, text: str) -> None:
        """Say something on a line of its own; further lines of it are indented, so that they pass for nothing else."""
        self.end_progress()
        shown = printable(text, lines=True).replace("\n", "\n    ")
        say_beside(shown)

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Show how far the server is; on a terminal alone."""
        if not self._is_live:
            return
        far = f"{progress:g}" if not total else f"{progress * 100 / total:3.0f} %"
        self._has_progress = True
        said = f"\r{far}  {printable(message or '')[:100]}\033[K"
        say_beside(said, end="")

    def end_progress(self) -> None:
        """End the line of the progress, if there is one."""
        if self._has_progress:
            self._has_progress = False
            say_beside()

    async def on_log(self, params: LoggingMessageNotificationParams) -> None:
        """Show a line of the server's log."""
        data = (
            params.data.get("msg", params.data) if isinstance(params.data, dict) else params.data
        )  # as FastMCP has it
        where = f" {params.logger}" if params.logger else ""
        self.tell(f"[{params.level}{where}] {data}")

    async def on_elicitation(self, context: Any, params: Any) -> ElicitResult:
        """Ask what the server wants to know (2025-11-25 client/elicitation)."""
        del context
        from mcp_types import ElicitResult  # noqa: PLC0415 - loaded by now

        self.tell(f"The server asks: {params.message}")
        if not self._can_ask:
            self.tell("Nobody can answer: standard input is no terminal. Declined.")
            return ElicitResult(action="decline")
        try:
            if params.mode == "url":
                return ElicitResult(action="accept" if await self._visit(params.url) else "decline")
            content = await self._filled(params.requested_schema)
        except EOFError:
            return ElicitResult(action="cancel")
        return ElicitResult(action="decline") if content is None else ElicitResult(action="accept", content=content)

    async def _visit(self, url: str) -> bool:
        self.tell(f"It sends you to {url}")
        if (await self._line("Open it in the browser? [y/N] ")).lower() not in _YES:
            return False
        if url.startswith(("https://", "http://")):  # nothing else is a page
            await blocking(lambda: webbrowser.open(url))
        return True

    async def _filled(self, schema: Any) -> dict[str, Any] | None:
        """Return an answer for each property; None where the person declines."""
        needed = schema.get("required") or ()
        content: dict[str, Any] = {}
        self.tell("Leave a line empty to leave out what is optional; ! declines.")
        for name, wanted in (schema.get("properties") or {}).items():
            answered = await self._property(name, wanted, is_needed=name in needed)
            if answered is None:
                return None
            content |= answered
        return content

    async def _property(self, name: str, wanted: Mapping[str, Any], *, is_needed: bool) -> dict[str, Any] | None:
        """Return the property with its value, nothing where it is left out; None where the person declines."""
        title = printable(str(wanted.get("title") or name))
        about = f" - {printable(str(wanted['description']))}" if wanted.get("description") else ""
        optional = "" if is_needed else ", optional"
        for _ in range(_TRIES):
            line = await self._line(f"{title}{about} ({kind_of(wanted, {})}{optional}): ")
            if line == "!":
                return None
            if not line and (not is_needed or "default" in wanted):
                return {name: wanted["default"]} if "default" in wanted else {}
            try:
                return {name: value_of(line, wanted)}
            except ValueError as error:
                self.tell(str(error))
        return None

    async def _line(self, question: str) -> str:
        return (await blocking(lambda: self._ask(question))).strip()


def value_of(line: str, wanted: Mapping[str, Any]) -> Any:
    """Return what a person typed as the value that a schema wants; raises ValueError with a sentence."""
    kind, choices = wanted.get("type"), _choices(wanted)
    if kind == "array":
        items = wanted.get("items")
        return [value_of(part.strip(), items if isinstance(items, Mapping) else {}) for part in line.split(",")]
    if choices and line not in choices:
        raise ValueError(f"It takes one of {', '.join(choices)}.")
    if kind == "boolean":
        if line.lower() not in _YES | _NO:
            raise ValueError("It takes yes or no.")
        return line.lower() in _YES
    if kind in ("integer", "number"):
        try:
            return int(line) if kind == "integer" else float(line)
        except ValueError:
            raise ValueError("It takes a number.") from None
    if not line:
        raise ValueError("It is needed.")
    return line


def _choices(wanted: Mapping[str, Any]) -> list[str]:
    listed = wanted.get("enum") or [each.get("const") for each in wanted.get("oneOf") or wanted.get("anyOf") or ()]
    return [str(each) for each in listed if each is not None]
