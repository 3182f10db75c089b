"""MCP on the wire: JSON-RPC, protocol revisions, both eras' envelopes. PURE.

Owns: parsing and bounding of messages, versions, the modern era's per-request metadata and header rules, the handshake
era's lifecycle messages, protocol errors with their codes.
Depends on: `tokens`. No web framework, no database, no asyncio, no clock, no log.
"""
