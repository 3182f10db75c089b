"""What the tables are, for work on a store as a whole: keys, ages, what refers to what, and what is carried elsewhere.

A test holds this against the schema: a migration that adds a table adds its line here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One table."""

    name: str
    key: tuple[str, ...]
    """The columns of its primary key."""
    age: str | None = None
    """The column that says when a row came to be, seconds UTC."""
    is_carried: bool = True
    """Whether an export holds it. What only means something to processes that run is not carried."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows of one table that name a row of another, with a foreign key or without."""

    child: str
    column: str
    parent: str
    parent_column: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.child}.{self.column} names no row of {self.parent}"

    @property
    def query(self) -> str:
        """Counts the rows that name one that is not there, as `found`."""
        return (
            f"SELECT count(*) AS found FROM {self.child} WHERE {self.child}.{self.column} IS NOT NULL "  # noqa: S608 - our own names
            f"AND NOT EXISTS (SELECT 1 FROM {self.parent} AS parent "
            f"WHERE parent.{self.parent_column} = {self.child}.{self.column})"
        )


@dataclass(frozen=True, slots=True)
class Invariant:
    """What is true of all rows, whatever was done to the store."""

    name: str
    """What is wrong with a row that is found, for people."""
    query: str
    """Counts such rows, as `found`; $1 is the time, seconds UTC, where it asks for that."""
    takes_now: bool = False


TABLES: Final[Sequence[TableEntry]] = (
    TableEntry("clients", ("client_id",), "created_at"),
    TableEntry("client_assertions", ("assertion_fingerprint",)),
    TableEntry("users", ("subject",), "created_at"),
    TableEntry("linked_logins", ("issuer", "external_subject"), "linked_at"),
    TableEntry("account_links", ("link_fingerprint",), "created_at"),
    TableEntry("setup_link", ("slot",), "created_at"),
    TableEntry("passkeys", ("credential_id",), "created_at"),
    TableEntry("second_steps", ("subject",), "created_at"),
    TableEntry("recovery_codes", ("subject", "code_fingerprint")),
    TableEntry("browser_sessions", ("session_fingerprint",), "created_at"),
    TableEntry("pending_logins", ("state_fingerprint",)),
    TableEntry("authorization_transactions", ("transaction_id",), "created_at"),
    TableEntry("pushed_requests", ("reference_fingerprint",), "created_at"),
    TableEntry("authorization_codes", ("code_fingerprint",), "created_at"),
    TableEntry("device_authorizations", ("device_code_fingerprint",), "created_at"),
    TableEntry("consents", ("subject", "client_id", "resource", "redirect_uri"), "created_at"),
    TableEntry("grants", ("grant_id",), "created_at"),
    TableEntry("access_tokens", ("token_fingerprint",), "created_at"),
    TableEntry("exchanged_tokens", ("token_fingerprint",), "created_at"),
    TableEntry("refresh_tokens", ("token_fingerprint",), "created_at"),
    TableEntry("upstream_tokens", ("subject", "provider"), "linked_at"),
    TableEntry("api_keys", ("key_id",), "created_at"),
    TableEntry("served_endpoints", ("path",)),
    TableEntry("sealing_key", ("slot",)),
    TableEntry("signing_keys", ("key_id",), "created_at"),
    TableEntry("audit_events", ("event_id",), "at"),
    # Carried, so that who guesses codes does not begin anew when a store moves.
    TableEntry("limits", ("name",)),
    TableEntry("mcp_sessions", ("session_fingerprint",), "created_at", is_carried=False),
    TableEntry("mcp_subscriptions", ("session_fingerprint", "uri"), is_carried=False),
    TableEntry("mcp_stream_events", ("session_fingerprint", "stream_id", "number"), is_carried=False),
    TableEntry("mcp_finished_streams", ("session_fingerprint", "stream_id"), is_carried=False),
    TableEntry("mcp_stream_connections", ("session_fingerprint", "stream_id"), is_carried=False),
    TableEntry("mcp_client_requests", ("session_fingerprint", "request_id"), is_carried=False),
    TableEntry("mcp_cancellations", ("session_fingerprint", "request_id"), is_carried=False),
    # Carried, since their results were promised; a runner that is not there any more is over before long.
    TableEntry("tasks", ("task_fingerprint",), "created_at"),
    TableEntry("task_requests", ("task_fingerprint", "request_key")),
    TableEntry("task_values", ("task_fingerprint", "name")),
    TableEntry("task_runners", ("runner",)),
    TableEntry("change_log", ("topic", "change"), "noted_at", is_carried=False),
    TableEntry("leases", ("name",), is_carried=False),
    TableEntry("store_probe", ("slot",), is_carried=False),
)
"""Every table but `schema_version`; what others name comes before them."""

CARRIED: Final = tuple(table for table in TABLES if table.is_carried)
"""What an export holds, in the order in which rows can be added."""

# Grants are not here: they outlive their client and their person, as a record of what was allowed.
RELATIONS: Final[Sequence[Relation]] = (
    Relation("linked_logins", "subject", "users", "subject"),
    Relation("account_links", "subject", "users", "subject"),
    Relation("passkeys", "subject", "users", "subject"),
    Relation("second_steps", "subject", "users", "subject"),
    Relation("recovery_codes", "subject", "second_steps", "subject"),
    Relation("upstream_tokens", "subject", "users", "subject"),
    Relation("api_keys", "user_subject", "users", "subject"),
    Relation("browser_sessions", "subject", "users", "subject"),
    Relation("consents", "subject", "users", "subject"),
    Relation("authorization_codes", "subject", "users", "subject"),
    Relation("authorization_codes", "transaction_id", "authorization_transactions", "transaction_id"),
    Relation("authorization_codes", "grant_id", "grants", "grant_id"),
    Relation("device_authorizations", "subject", "users", "subject"),
    Relation("device_authorizations", "grant_id", "grants", "grant_id"),
    Relation("access_tokens", "grant_id", "grants", "grant_id"),
    Relation("exchanged_tokens", "grant_id", "grants", "grant_id"),
    Relation("refresh_tokens", "grant_id", "grants", "grant_id"),
    Relation("task_requests", "task_fingerprint", "tasks", "task_fingerprint"),
    Relation("task_values", "task_fingerprint", "tasks", "task_fingerprint"),
    *(
        Relation(table.name, "session_fingerprint", "mcp_sessions", "session_fingerprint")
        for table in TABLES
        if table.name.startswith("mcp_") and table.name != "mcp_sessions"
    ),
)

INVARIANTS: Final[Sequence[Invariant]] = (
    Invariant(
        "a person's second step is not the one that is kept",
        """
        SELECT count(*) AS found FROM users LEFT JOIN second_steps ON second_steps.subject = users.subject
        WHERE COALESCE(users.second_step, '') <> COALESCE(second_steps.step_id, '')
        """,
    ),
    Invariant(
        "a refresh token was spent without a successor",
        """
        SELECT count(*) AS found FROM refresh_tokens
        WHERE spent_at IS NOT NULL AND (successor_fingerprint IS NULL OR sealed_successor IS NULL)
        """,
    ),
    # A refresh token is kept for seven days after its end (`stores.purging`), however soon that is.
    Invariant(
        "the successor of a refresh token of the last seven days is missing",
        """
        SELECT count(*) AS found FROM refresh_tokens JOIN grants ON grants.grant_id = refresh_tokens.grant_id
        WHERE refresh_tokens.successor_fingerprint IS NOT NULL AND refresh_tokens.spent_at + 604800 > $1
            AND grants.revoked_at IS NULL AND grants.expires_at > $1
            AND NOT EXISTS (
                SELECT 1 FROM refresh_tokens AS successors
                WHERE successors.token_fingerprint = refresh_tokens.successor_fingerprint
            )
        """,
        takes_now=True,
    ),
    Invariant(
        "a grant has two refresh tokens that were not spent",
        """
        SELECT count(*) AS found FROM (
            SELECT grant_id FROM refresh_tokens WHERE spent_at IS NULL GROUP BY grant_id HAVING count(*) > 1
        ) AS forked
        """,
    ),
)
