"""MCP over standard input and output, both eras on one process (2026-07-28 basic/transports/stdio; 2025-11-25 too).

Owns: lines and their limit, the two streams and what keeps everything else away from them, the one client's session.
Depends on: `server`, `protocol`. Not on `web`: there are no tokens and no scopes here, the environment decides who
starts the process.
"""
