"""The MCP server: what authors declare, and the code that runs it.

Owns: the registry, schemas derived from signatures, the context a tool gets, dispatch from a request to
a result.
Depends on: `stores`, `resource`, `protocol`, `tokens`. Knows nothing of HTTP.
"""
