"""Sessions of the handshake era (MCP 2025-11-25 basic/transports, "Session Management").

Owns: their lifecycle, the streams that answer their requests, resumption, and requests to their clients. All of it is
in the store, so any process serves any message; in the process is only what runs.
"""
