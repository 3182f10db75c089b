"""The tables, and how a database gets them.

Owns: the statements of each half (`authorization_server.py`, `live_state.py`), and the migrations (`migrations.py`).
Depends on: `stores.sql.database`, `stores.contract` (errors).

Column types are PostgreSQL's; for SQLite `migrations.py` puts its own name where one differs. Lists are JSON text,
scopes are separated by spaces, flags are 0 or 1, times are whole seconds UTC. What ends has an index on its end, by
which the purge finds it.
"""
