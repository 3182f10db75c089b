"""Work on a store as a whole, beside running servers or without them: its state, its soundness, and moving it.

Owns: status and migration (`state`), the check (`checking`), export and import with their file (`export_format`).
Depends on: `stores.sql` (schema, catalogue, `Maintenance`), `stores.urls`.
"""
