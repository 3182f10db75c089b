"""Schema version 10: the remembered consents of a client are found by it, to be forgotten when it is shut out."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = ("CREATE INDEX consents_by_client ON consents (client_id)",)
