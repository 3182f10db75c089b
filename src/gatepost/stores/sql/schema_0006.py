"""Schema version 6: limits. One number per key: until when its allowance is spent, microseconds UTC."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    "CREATE TABLE limits (name TEXT NOT NULL PRIMARY KEY, spent_until BIGINT NOT NULL)",
    "CREATE INDEX limits_by_end ON limits (spent_until)",
)
