"""Log lines that a person can read and a machine can search, as text or as JSON; secrets are scrubbed on the way out.

As text, a line is `time LEVEL logger message key=value …`, where the keys are the `extra` fields of the log call: a
refusal always has `reason`, a fault of ours always has `incident`. Values are quoted like JSON as soon as they hold
anything that could forge a line. As JSON, a line is one object with the same fields (`docs/observability.md`).

What is written while a request is served has its `request_id`, and `trace_id` and `span_id` where it is traced.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TextIO

from gatepost.observability.scrubbing import HIDDEN, scrub
from gatepost.telemetry.request_ids import current_request_id

_SECRET_NAMES: Final = re.compile(
    r"(?:.*(?:password|passphrase|passwd|passcode|secret|token|authorization|cookie|credential|assertion"
    r"|(?:api|private|sealing|signing|secret|access|encryption)key|codeverifier|(?:device|user|auth|authorization)code"
    r"|sessionid)|code|pwd|jwt|dpop)s?",
    re.DOTALL,
)
"""Fields whose values are not logged, whatever they look like; numbers are. Names are in lower case, joined."""
_JOINTS: Final = re.compile(r"[\W_]+")
_TRACEBACK = "Traceback (most recent call last):"
_PLAIN = re.compile(r"[\w.:/@+~-]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_LOGGERS: Final = ("gatepost", "uvicorn", "opentelemetry")
_LONGEST_INTEGER: Final = 1024
"""Bits."""
_DEEPEST: Final = 4
"""Of nested values; what lies deeper is written as text."""
_KNOWN_NAMES: Final = 512


class LineFormatter(logging.Formatter):
    """One event, one line (a traceback follows on lines of its own, which are indented).

    The message of an exception often quotes what a client sent, line ends included.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with every Gatepost secret and every authorization header's value replaced."""
        message, traceback = _message(record), list[str]()
        if message.startswith(_TRACEBACK):
            # The server under us writes one as its message when an application does not start.
            message, *traceback = message.splitlines()
        parts = [self.formatTime(record), record.levelname, _one_line(record.name), _one_line(message)]
        parts += [f"{_field(key)}={_field(value)}" for key, value in {**_extra(record), **_correlation()}.items()]
        line = " ".join(parts)
        if record.exc_info and record.exc_info[1] is not None:
            traceback += self.formatException(record.exc_info).splitlines()
        if record.stack_info:
            traceback += record.stack_info.splitlines()
        line += "".join(f"\n    {_one_line(text)}" for text in traceback)
        return scrub(line)


class JsonFormatter(logging.Formatter):
    """One event, one line, one JSON object: `time` (RFC 3339), `level`, `logger`, `message`, then the other fields.

    An exception is the object `exception` with `type`, `message` and `traceback`. All of it is ASCII, so that no
    character ends a line or speaks to a terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, scrubbed as `LineFormatter` does."""
        message = _message(record)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": scrub(message.partition("\n")[0] if message.startswith(_TRACEBACK) else message),
        }
        for key, value in {**_extra(record), **_correlation()}.items():
            # What the line always has is not to be forged by a field of the same name.
            line[f"{key}_" if key in line or key == "exception" else key] = value
        if message.startswith(_TRACEBACK):
            line["exception"] = {"traceback": scrub(message)}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self._exception(record, record.exc_info[1])
        if record.stack_info:
            line["stack"] = scrub(record.stack_info)
        return json.dumps(line, default=_text)

    def _exception(self, record: logging.LogRecord, error: BaseException) -> dict[str, str]:
        # An error that was scrubbed where it was caught is its own traceback, and says of what class it was. A tool's
        # error may have attributes of any name, so only a plain one says so, under a name that is ours.
        kind: object = vars(error).get("_gatepost_kind")
        is_scrubbed = type(kind) is str
        traceback = _text(error) if is_scrubbed or not record.exc_info else self.formatException(record.exc_info)
        message = traceback.rstrip().rpartition("\n")[2] if is_scrubbed else _text(error)
        return {
            "type": scrub(str(kind)) if is_scrubbed else type(error).__qualname__,
            "message": scrub(message),
            "traceback": scrub(traceback),
        }


def formatter_of(log_format: str) -> logging.Formatter:
    """Return what writes lines as `text` or `json`."""
    return JsonFormatter() if log_format == "json" else LineFormatter()


def configure_logging(level: str, *, log_format: str = "text", stream: TextIO | None = None) -> None:
    """Send Gatepost's, uvicorn's and OpenTelemetry's logs to `stream` (default: standard error) from `level` on.

    Warnings of loggers that have no handler go there in the same form; the standard library would write them as they
    are. For the command line only: an application that embeds Gatepost configures logging itself.

    Args:
        level: `debug`, `info`, `warning` or `error`. Of other libraries no level shows less than warnings.
        log_format: `text` or `json`.
        stream: where lines go.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter_of(log_format))
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(
            level.upper() if name == "gatepost" else max(logging.WARNING, logging.getLevelName(level.upper()))
        )
    last_resort = logging.StreamHandler(stream or sys.stderr)
    last_resort.setFormatter(formatter_of(log_format))
    last_resort.setLevel(logging.WARNING)
    logging.lastResort = last_resort


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """Return the `extra` fields of a record that say something, scrubbed."""
    fields = ((key, value) for key, value in vars(record).items() if key not in _STANDARD and value is not None)
    return {_scrubbed_name(_text(key)): _scrubbed(_text(key), value) for key, value in fields}


def _correlation() -> dict[str, str]:
    """Return what ties a line to its request and to its trace."""
    request_id, found = current_request_id(), dict[str, str]()
    if request_id is not None:
        found["request_id"] = scrub(request_id)
    # Whoever traces has imported it; nobody else pays for it.
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            found |= {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    return found


def _scrubbed(key: str, value: object, depth: int = 0) -> Any:
    """Return a value as plain JSON without secrets, those included that only the name of their field tells."""
    if value is None or isinstance(value, (bool, int, float)):
        return value if value is None or _is_number_of_json(value) else _text(value)
    if _is_of_secret(key):
        return HIDDEN
    if type(value) is str:  # nearly all are, and the classes below are asked one after the other
        return scrub(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {scrub(_text(name)): _scrubbed(_text(name), inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEEPEST:
        return [_scrubbed(key, inner, depth + 1) for inner in value]
    return scrub(_text(value))


# The names of fields are few and come again with each line.
_scrubbed_name = lru_cache(maxsize=_KNOWN_NAMES)(scrub)


@lru_cache(maxsize=_KNOWN_NAMES)
def _is_of_secret(name: str) -> bool:
    return _SECRET_NAMES.fullmatch(_JOINTS.sub("", name.lower())) is not None


def _is_number_of_json(value: object) -> bool:
    # JSON has neither NaN nor infinities (RFC 8259 section 6); Python refuses to write integers that are very long.
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and value.bit_length() <= _LONGEST_INTEGER


def _message(record: logging.LogRecord) -> str:
    """Return the message with its arguments; logging would write both to standard error as they are if they misfit."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - whatever the arguments raise
        return f"{_text(record.msg)} (its arguments do not fit)"


def _text(value: object) -> str:
    """Return `str(value)`, whatever a class of the user's makes of it: a line is not lost for it."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever it raises
        return f"<{type(value).__qualname__} without text>"


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(character if character.isprintable() else " " for character in text)


def _field(value: object) -> str:
    text = _text(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
