"""Durable state behind small protocols of atomic operations.

Owns: the protocols (`protocols.py`), the records that are not OAuth's (`accounts.py`), what an operation can answer
(`outcomes.py`), what can go wrong (`errors.py`), and the backends: `memory`, `sql` (SQLite).
Depends on: `oauth`, `resource`, `protocol`, `tokens`. Drivers are imported only when their URL is used.
"""
