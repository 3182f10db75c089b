"""The rules of the resource server (RFC 6750, RFC 8707, RFC 9728). PURE.

Owns: who the caller is (`Principal`), canonical resource identifiers, protected resource metadata, bearer token
shape and challenges.
Depends on: `tokens`. No web framework, no database, no asyncio, no clock, no log.
"""
