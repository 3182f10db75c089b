from __future__ import annotations

from tests.bare_environment import bare_environment

__all__ = ["bare_environment"]
