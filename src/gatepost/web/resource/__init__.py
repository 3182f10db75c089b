"""The resource server: bearer tokens at the door of whatever is protected (RFC 6750, RFC 9728).

Owns: the bearer guard, and the guard in front of any ASGI application.
Depends on: `web.site`, `stores.contract`, the rules. What stands behind it is given to it.
"""
