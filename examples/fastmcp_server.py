"""A FastMCP server behind Gatepost: login, consent and scopes, while the server stays as it is.

pip install fastmcp
python examples/fastmcp_server.py
"""

import sys

from gatepost import Protected, ScopeMap, run

try:
    from fastmcp import FastMCP
    from fastmcp.server.dependencies import get_access_token
except ModuleNotFoundError:
    sys.exit("This example needs FastMCP: pip install fastmcp")

mcp: FastMCP = FastMCP("Notes")
notes: dict[str, list[str]] = {}


@mcp.tool
def list_notes() -> list[str]:
    """List the caller's notes."""
    return notes.get(_caller(), [])


@mcp.tool
def add_note(text: str) -> str:
    """Keep a note."""
    notes.setdefault(_caller(), []).append(text)
    return f"Noted: {text}"


def _caller() -> str:
    token = get_access_token()
    return "" if token is None else token.claims["sub"]


scopes = ScopeMap(
    tools={"list_*": ["notes:read"], "add_note": ["notes:write"]},
    descriptions={"notes:read": "Read your notes", "notes:write": "Add notes"},
    implied_scopes={"notes:write": ["notes:read"]},
)
endpoints = {"/mcp": Protected(mcp, scopes=scopes)}

if __name__ == "__main__":
    run(endpoints)
