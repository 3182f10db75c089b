"""Times as pages say them: days, stretches of time, and how long ago something was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from gatepost.wording.phrase import CountedPhrase, Phrase

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY
_MONTHS: Final = (
    Phrase("January"),
    Phrase("February"),
    Phrase("March"),
    Phrase("April"),
    Phrase("May"),
    Phrase("June"),
    Phrase("July"),
    Phrase("August"),
    Phrase("September"),
    Phrase("October"),
    Phrase("November"),
    Phrase("December"),
)


def day(seconds: int) -> Phrase:
    """Return the day of a time as people write it, by UTC."""
    moment = datetime.fromtimestamp(seconds, UTC)
    month = _MONTHS[moment.month - 1]
    return Phrase("%(day)s %(month)s %(year)s", day=moment.day, month=month, year=moment.year)


def in_words(seconds: int) -> Phrase:
    """Return a stretch of time as people say it, in the largest unit that it fills, rounded up."""
    if seconds <= _MINUTE // 2:
        return Phrase("half a minute")
    if seconds < _HOUR:
        return CountedPhrase("a minute", "%(count)s minutes", _rounded_up(seconds, _MINUTE))
    if seconds < _DAY:
        return CountedPhrase("an hour", "%(count)s hours", _rounded_up(seconds, _HOUR))
    if seconds < _YEAR:
        return CountedPhrase("a day", "%(count)s days", _rounded_up(seconds, _DAY))
    return CountedPhrase("a year", "%(count)s years", _rounded_up(seconds, _YEAR))


def ago(seconds: int) -> Phrase:
    """Return how long ago something was, as people say it, rounded as `in_words` does."""
    if seconds <= _MINUTE // 2:
        return Phrase("half a minute ago")
    if seconds < _HOUR:
        return CountedPhrase("a minute ago", "%(count)s minutes ago", _rounded_up(seconds, _MINUTE))
    if seconds < _DAY:
        return CountedPhrase("an hour ago", "%(count)s hours ago", _rounded_up(seconds, _HOUR))
    if seconds < _YEAR:
        return CountedPhrase("a day ago", "%(count)s days ago", _rounded_up(seconds, _DAY))
    return CountedPhrase("a year ago", "%(count)s years ago", _rounded_up(seconds, _YEAR))


def _rounded_up(seconds: int, unit: int) -> int:
    return -(-seconds // unit)
