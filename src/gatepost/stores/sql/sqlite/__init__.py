"""The SQLite driver of the SQL stores: files, connections, their threads, and operations in batches.

Owns: everything that is true of SQLite only. `docs/decisions/0001-sqlite-driver.md` gives the reasons for its shape.
Depends on: `stores.sql.database`, `stores.sql.schema.migrations`, `stores.errors`, the standard library's `sqlite3`.
"""
