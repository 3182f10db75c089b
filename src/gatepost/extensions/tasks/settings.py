"""What the extension is called, and what operators may set of it; for the wiring, which imports no more than this."""

from __future__ import annotations

from typing import Final

TASKS: Final = "io.modelcontextprotocol/tasks"
AFTER: Final = "after"
"""After how many seconds a call becomes a task whose tool says nothing of tasks; None: never."""
PER_USER: Final = "per_user"
"""How many tasks of one person are kept."""
