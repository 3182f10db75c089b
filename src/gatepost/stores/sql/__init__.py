"""Stores in SQL: one set of operations, one module a concern, over any database that runs them in transactions.

Owns: the SQL text (`grants.py`, `clients.py`, …), the schema with its migrations (`schema/`), how records become rows
(`rows.py`, `tables.py`), the protocol that a database meets (`database.py`), and the databases (`sqlite/`).
Depends on: `stores.contract`, `oauth`. A database's driver is imported by its own package alone.
"""
