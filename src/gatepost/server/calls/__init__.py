"""One call of the user's code: its exchange with the client, its context, its cancellation, its thread.

Depends on: `server.errors`, `server.json_schema`, the rules.
"""
