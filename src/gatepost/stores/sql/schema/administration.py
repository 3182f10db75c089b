"""What administrators look through: lists in pages, each in the order of an index, and who did what."""

from __future__ import annotations

from typing import Final

ADMINISTRATION: Final = (
    "ALTER TABLE users ADD COLUMN last_login_at BIGINT",
    "CREATE INDEX users_by_name ON users (lower(coalesce(display_name, username, subject)), subject)",
    "CREATE INDEX clients_by_name ON clients (lower(client_name), client_id)",
    # In place of those by subject and by client alone.
    "CREATE INDEX grants_by_subject_and_age ON grants (subject, created_at DESC, grant_id)",
    "CREATE INDEX grants_by_client_and_age ON grants (client_id, created_at DESC, grant_id)",
    "CREATE INDEX grants_by_age ON grants (created_at DESC, grant_id)",
    "DROP INDEX grants_by_subject",
    "DROP INDEX grants_by_client",
    "ALTER TABLE audit_events ADD COLUMN actor TEXT",
    "CREATE INDEX audit_events_by_subject ON audit_events (subject, event_id) WHERE subject IS NOT NULL",
    "CREATE INDEX audit_events_by_client ON audit_events (client_id, event_id) WHERE client_id IS NOT NULL",
    "CREATE INDEX audit_events_by_actor ON audit_events (actor, event_id) WHERE actor IS NOT NULL",
    "CREATE INDEX audit_events_by_address ON audit_events (address, event_id) WHERE address IS NOT NULL",
    "CREATE INDEX audit_events_by_event ON audit_events (event, event_id)",
)
"""Version 10."""
