"""A server of somebody else's that speaks on standard input and output, behind login, consent and scopes.

python examples/stdio_front.py uvx mcp-server-time
"""

import sys

from gatepost import Command, ScopeMap, run

scopes = ScopeMap(
    tools={"get_*": ["look"], "list_*": ["look"]},
    default=["change"],
    descriptions={"look": "Look things up", "change": "Do everything else"},
    implied_scopes={"change": ["look"]},
)


def front(*command: str) -> Command:
    """Return the server that a command starts, a process for each session."""
    return Command(*command, scopes=scopes)


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("Say what to start: python examples/stdio_front.py uvx mcp-server-time")
    run(front(*sys.argv[1:]))
