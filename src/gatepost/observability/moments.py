"""Moments as people type them who look for something in the audit trail."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_AGO: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def read_moment(text: str, *, now: int) -> int:
    """Return seconds UTC of a date, a date and time (UTC unless it says otherwise), or a stretch of time ago.

    Raises:
        ValueError: it is none of these.
    """
    if _AGO.fullmatch(text):
        return now - read_stretch(text)
    given = datetime.fromisoformat(text)
    try:
        return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp())
    except OverflowError:
        raise ValueError("it is no moment of this calendar in UTC") from None


def read_stretch(text: str) -> int:
    """Return the seconds of a stretch of time such as `90d`.

    Raises:
        ValueError: it is none.
    """
    given = _AGO.fullmatch(text)
    if given is None:
        raise ValueError("it is no stretch of time")
    return int(given[1]) * _SECONDS[given[2]]
