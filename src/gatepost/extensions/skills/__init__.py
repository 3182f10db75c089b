"""Skills (MCP SEP-2640, `io.modelcontextprotocol/skills`): folders of instructions for models, served as resources.

`frontmatter` reads the YAML at the head of a `SKILL.md`, `folder` a folder with skills into memory, `resources` offers
them on a server and notices changes, `extension` has the methods.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from gatepost.extensions.skills.extension import Skills
from gatepost.extensions.skills.resources import SkillsFolder
from gatepost.resource.scope_needs import ScopeNeeds
from gatepost.server.registry import Registry

__all__ = ["add_skills"]


def add_skills(
    registry: Registry,
    folder: Path,
    *,
    prefix: str = "",
    scopes: Iterable[str | ScopeNeeds] = (),
    fresh_for: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Do what `Server.add_skills` does; `clock` gives seconds that only grow."""
    added = SkillsFolder(folder.resolve(), registry, prefix=prefix, scopes=scopes, fresh_for=fresh_for, clock=clock)
    registry.use(Skills(added))
