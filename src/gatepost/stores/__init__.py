"""Durable state behind small protocols of atomic operations, and the live state of MCP in the same way.

Owns: the contract (`contract/`), the backends (`sql/`), which of them a URL chooses (`urls.py`), the purge
(`purging.py`), and the keys and tokens that the store keeps sealed (`signing_keys.py`, `signed_tokens.py`).
Depends on: `oauth`, `resource`, `protocol`, `tokens`. Nothing outside of it imports a backend.
"""
