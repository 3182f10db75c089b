from __future__ import annotations

from pathlib import Path

import pytest

from tests.bare_environment import bare_environment

__all__ = ["bare_environment"]


@pytest.fixture
def scopes_file(tmp_path: Path) -> str:
    """A file with scopes by name."""
    file = tmp_path / "scopes.toml"
    file.write_text(
        'default = ["x"]\n[scopes]\n"y" = "Use y"\n[implied_scopes]\ny = ["x"]\n[scope_groups]\ny = "Whys"\n'
    )
    return str(file)
