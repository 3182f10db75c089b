"""What every layer may know of how a running server is observed: the id of a request, and what can be measured.

Owns: request ids and incident ids, the catalogue of metrics, the protocol by which other layers report to it.
Depends on: nothing. What writes, counts and exports is in `observability`.
"""
