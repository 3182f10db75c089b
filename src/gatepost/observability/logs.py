"""Log lines that a person can read and a machine can search; secrets are scrubbed on the way out.

A line is `time LEVEL logger message key=value …`, where the keys are the `extra` fields of the log call: a refusal
always has `reason`, a fault of ours always has `incident`. Values are quoted like JSON as soon as they hold
anything that could forge a line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import TextIO

# Ours, GitHub's, and what a header authorizes with.
_SECRET = re.compile(r"(gp_[a-z]{2}_|gh[oprsu]_)[A-Za-z0-9_-]{8,}|(?i:(bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}")
# What Pydantic quotes of a value that does not fit, to its end: it is the user's, and may be anything.
_QUOTED = re.compile(r"(input_value=)(?:.*(?=, input_type=)|.*)")
_TRACEBACK = "Traceback (most recent call last):"
_PLAIN = re.compile(r"[\w.:/@+~-]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class LineFormatter(logging.Formatter):
    """One event, one line (a traceback follows on lines of its own, which are indented).

    The message of an exception often quotes what a client sent, line ends included.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with every Gatepost secret and every authorization header's value replaced."""
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD and value is not None}
        message, traceback = record.getMessage(), list[str]()
        if message.startswith(_TRACEBACK):
            # The server under us writes one as its message when an application does not start.
            message, *traceback = message.splitlines()
        parts = [self.formatTime(record), record.levelname, record.name, _one_line(message)]
        parts += [f"{key}={_field(value)}" for key, value in fields.items()]
        line = " ".join(parts)
        if record.exc_info:
            traceback += self.formatException(record.exc_info).splitlines()
        line += "".join(f"\n    {_one_line(text)}" for text in traceback)
        return scrub(line)


def scrub(text: str) -> str:
    """Return `text` with secrets cut down to their kind, and without the values that Pydantic's errors quote."""
    return _QUOTED.sub(r"\1…", _SECRET.sub(lambda match: (match[1] or match[2] + " ") + "…", text))


def configure_logging(level: str, *, stream: TextIO | None = None) -> None:
    """Send Gatepost's and uvicorn's logs to `stream` (default: standard error) from `level` on.

    For the command line only: an application that embeds Gatepost configures logging itself.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter())
    for name in ("gatepost", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(
            level.upper() if name == "gatepost" else max(logging.WARNING, logging.getLevelName(level.upper()))
        )


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _field(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
