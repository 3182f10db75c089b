"""Who is the user: login behind the authorization server.

Owns: the provider protocol, the providers (single user, local accounts), passwords and usernames.
Depends on: `stores` and below. Knows nothing of OAuth requests or pages.
"""
