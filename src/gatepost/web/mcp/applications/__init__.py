"""ASGI applications that speak MCP, behind scopes by name: their messages are read, and passed on as they are."""
