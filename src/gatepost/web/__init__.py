"""HTTP: one file per endpoint or page.

Owns: everything between a socket and the rules: parsing of requests, cookies, pages, and the one place where an error
becomes a response (`errors.py`).
Depends on: `identity`, `server`, `observability`, `stores` and below. Decides nothing that a PURE package could decide.
"""
