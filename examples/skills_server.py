"""A server that brings the instructions for its tools along, as a skill: python examples/skills_server.py

The skill lies in examples/skills/release-notes. It is read again when a file of it changes.
"""

from pathlib import Path

from gatepost import Server, ToolError, run

CHANGES = {
    "v1.0": ["Add a dark theme", "Fix the date in the footer", "Bump a test dependency"],
    "v1.1": ["Fix the date in the footer"],
}
"""What happened since each tag. A real server asks git."""

server = Server("releases", title="Releases", scopes={"releases:read": "See the changes since a release"})
server.add_skills(Path(__file__).parent / "skills", scopes=["releases:read"])


@server.tool(scopes=["releases:read"], annotations={"readOnlyHint": True})
def changes(since: str) -> list[str]:
    """List the changes since a release.

    Args:
        since: The tag of that release, such as v1.0.
    """
    if since not in CHANGES:
        raise ToolError(f"There is no release {since}. There are: {', '.join(CHANGES)}.")
    return CHANGES[since]


if __name__ == "__main__":
    run(server)
