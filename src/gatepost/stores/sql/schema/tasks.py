"""Tasks: calls that are answered before they end."""

from __future__ import annotations

from typing import Final

TASKS: Final = (
    """
    CREATE TABLE tasks (
        task_fingerprint BYTEA NOT NULL PRIMARY KEY,
        place TEXT NOT NULL,
        owner TEXT NOT NULL,
        person TEXT NOT NULL,
        tool TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        poll_interval BIGINT NOT NULL,
        runner TEXT,
        status TEXT NOT NULL,
        status_message TEXT,
        updated_at BIGINT NOT NULL,
        version BIGINT NOT NULL,
        runs BIGINT NOT NULL,
        access_id TEXT,
        request BYTEA,
        outcome BYTEA,
        has_news BIGINT NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX tasks_by_end ON tasks (expires_at)",
    # Those of one person are counted.
    "CREATE INDEX tasks_by_person ON tasks (person, expires_at)",
    # What is over has no runner, so this has what runs alone.
    "CREATE INDEX tasks_by_runner ON tasks (runner, has_news)",
    """
    CREATE TABLE task_requests (
        task_fingerprint BYTEA NOT NULL REFERENCES tasks (task_fingerprint) ON DELETE CASCADE,
        request_key TEXT NOT NULL,
        request BYTEA NOT NULL,
        response BYTEA,
        PRIMARY KEY (task_fingerprint, request_key)
    )
    """,
    """
    CREATE TABLE task_values (
        task_fingerprint BYTEA NOT NULL REFERENCES tasks (task_fingerprint) ON DELETE CASCADE,
        name TEXT NOT NULL,
        value BYTEA NOT NULL,
        PRIMARY KEY (task_fingerprint, name)
    )
    """,
    "CREATE TABLE task_runners (runner TEXT NOT NULL PRIMARY KEY, expires_at BIGINT NOT NULL)",
    "CREATE INDEX task_runners_by_end ON task_runners (expires_at)",
)
