"""Being a client at a terminal: where a server's tokens come from, getting and keeping them, and a session with it.

Owns: discovery from a client's side, registration, logins by browser and by device, kept tokens, the bearer header.
Depends on: `outbound`, Authlib for requests to the token endpoint, and the official MCP client for MCP itself, which is
imported where a session is opened (docs/decisions/0084-the-call-command.md).
"""
