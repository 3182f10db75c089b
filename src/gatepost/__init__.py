"""Gatepost: Python tools on the open internet as an MCP server, with the lock built in."""

__version__ = "0.1.0"
