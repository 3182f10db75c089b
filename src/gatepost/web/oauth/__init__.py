"""The endpoints of the authorization server, one file each.

Owns: what a request to each of them has to be, step by step. The rules are in `gatepost.oauth`.
Depends on: `web.pages` (authorize shows pages), `web.site`, `stores.contract`, the rules.
"""
