"""Schema version 2: which key of the operator's ring seals."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    # One row at most: the key is always 1.
    "CREATE TABLE sealing_key (slot BIGINT NOT NULL PRIMARY KEY, key_id TEXT NOT NULL)",
)
