"""What `gatepost call` shows and asks at the terminal.

Owns: how tools, results, progress and questions of a server look; everything that a server says is cleaned first.
Depends on: `cli.terminal`, `mcp_types`.
"""
