"""The rules of the authorization server. PURE.

Owns: every decision about clients, redirect URIs, authorization requests, codes, scopes and refresh; one module per
concept, its RFC in the first line.
Depends on: `tokens`. No web framework, no database, no HTTP client, no asyncio; `now` is an argument (whole seconds,
UTC); nothing here logs.
"""
