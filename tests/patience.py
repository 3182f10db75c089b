"""How long a test waits for what should happen at once in its own process."""

from __future__ import annotations

PATIENCE = 10.0
"""Seconds: more than a busy machine needs, and little enough to wait for when something is broken."""
