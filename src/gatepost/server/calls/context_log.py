"""The logger of a context: Python's log, and the client's where it wants to read along."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from gatepost.protocol.json_encoding import whole_text
from gatepost.protocol.modern import LOG_LEVELS
from gatepost.server.calls.exchange import Exchange, McpClient

NOTICE: Final = 25
"""Between INFO and WARNING: the protocol has this level and Python does not. `ctx.log.log(NOTICE, …)`."""

_PROTOCOL_LEVELS: Final = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (NOTICE, "notice"),
    (logging.INFO, "info"),
)


class ContextLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry `subject`, `client_id` and `tool` as extra fields.

    A client that asks for log messages gets the text of each at or above its level as `notifications/message`. So what
    is logged here has to be fit for the caller to read. Works in worker threads too.
    """

    def __init__(
        self,
        logger: logging.Logger,
        extra: Mapping[str, object],
        *,
        name: str,
        exchange: Exchange,
        client: McpClient | None,
    ) -> None:
        super().__init__(logger, extra)
        self._name = name
        self._exchange = exchange
        self._client = client

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the call's fields to those given with `extra=`; the call's win."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log, as `logging.Logger.log` does; `debug`, `info` and the others come through here."""
        wanted = None if self._client is None else self._client.log_level
        if wanted is not None:
            name = protocol_level(level)
            if LOG_LEVELS.index(name) >= LOG_LEVELS.index(wanted):
                text = str(msg) % args if args else str(msg)
                # A half character, from the name of a file for instance, must not fail the tool.
                data = whole_text(text)
                self._exchange.post("notifications/message", {"level": name, "logger": self._name, "data": data})
        # One frame more, so that a record names the line in the tool.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, msg, *args, **kwargs)


def protocol_level(level: int) -> str:
    """Return the protocol's name for a level of Python's."""
    return next((name for threshold, name in _PROTOCOL_LEVELS if level >= threshold), "debug")
