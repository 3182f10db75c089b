"""SQL stores: one set of operations (`clients.py`, `grants.py`, …) over a small database protocol (`database.py`).

Owns: the SQL text, the schema and its migrations, and the SQLite backend (`sqlite.py` and its neighbours).
Depends on: `stores` (protocols, records, outcomes), `oauth.records`, the standard library's `sqlite3`.
"""

from gatepost.stores.sql.store import SqliteStore

__all__ = ["SqliteStore"]
