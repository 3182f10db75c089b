"""TOML files that settings name: reading them, and what is said of one that cannot be read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from gatepost.configuration.settings import SettingsError

_LARGEST_FILE: Final = 1024 * 1024
"""Bytes."""


def read_toml(path: Path, *, setting: str) -> dict[str, Any]:
    """Return what a TOML file says, unchecked.

    Raises:
        SettingsError: it cannot be read; the sentence names the setting, and the line where it is not TOML.
    """
    named = f"{setting}={path}"
    try:
        with path.expanduser().open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        if len(raw) > _LARGEST_FILE:
            raise SettingsError(f"{named} is larger than {_LARGEST_FILE} bytes.")
        return tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{named} cannot be read ({error.strerror or error}).") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{named} is not UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{named} is not TOML: {_position(error)}.") from None


def _position(error: Exception) -> str:
    """Return where the parser stopped. What it says beside that can repeat what stands there."""
    found = re.search(r"\((at [^()]*)\)\Z", str(error))
    return "it is nested too deeply" if found is None else f"something is wrong {found[1]}"
