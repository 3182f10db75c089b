"""Fronts: MCP servers of others behind an endpoint, unchanged: their JSON-RPC is relayed and not rebuilt.

Owns: sessions with what stands behind and who shares them, ids and progress tokens, the bridge between the eras, and
how servers on stdio and on Streamable HTTP are spoken with. May import `server`, `protocol`, `outbound` and the line
splitter of `stdio`.

    FrontTarget     what the endpoint asks (`Target`)             target.py
    BackendSession  one initialized session with a server         session.py
    Backend, Link   what is different for each kind of server     backend.py; stdio_backend.py, remote_backend.py
"""
