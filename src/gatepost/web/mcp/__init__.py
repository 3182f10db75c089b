"""The MCP endpoint over Streamable HTTP.

Owns: the endpoint, open `subscriptions/listen` streams; `exchange` is one HTTP
exchange, `sessions` the sessions of the handshake era.
Depends on: `web.site`, `server`, `stores.contract`, the rules.
"""
