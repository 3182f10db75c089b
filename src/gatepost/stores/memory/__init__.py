"""The store that forgets: plain dictionaries, for tests and demonstrations on one machine in one process.

Owns: the in-memory backend. Every operation is atomic because none of them awaits anything between its first look and
its last write. Depends on: `stores` (protocols, records, outcomes), `oauth.records`.
"""

from gatepost.stores.memory.store import memory_store

__all__ = ["memory_store"]
