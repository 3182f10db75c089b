"""Schema version 11: the sessions of one owner are counted, and found by when they were used last."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = ("CREATE INDEX mcp_sessions_by_owner ON mcp_sessions (owner, expires_at)",)
