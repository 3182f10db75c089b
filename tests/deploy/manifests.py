"""Deployment files as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # it ships no types

from tools.image.dockerfile import read

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KEY = "seal-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
AFTER_CALLS = 3
"""Seconds that a server takes for cleaning up, after MCP_SHUTDOWN_SECONDS."""
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::\?[^}]*)?\}")


def documents(file: Path) -> list[dict[str, Any]]:
    """Return the documents of a YAML file."""
    return [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document is not None]


def compose(name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return a compose file with variables filled in, as the engine does it; KeyError for one that is missing."""
    text = (DEPLOY / "compose" / f"{name}.yml").read_text(encoding="utf-8")
    filled = _VARIABLE.sub(lambda found: variables[found["name"]], text.replace("$$", "\0"))
    project: dict[str, Any] = yaml.safe_load(filled.replace("\0", "$"))
    return project


def of_the_image() -> dict[str, str]:
    """Return the settings of Gatepost that the image has."""
    image = read((DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8"))[-1]
    return {name: value for name, value in image.environment.items() if name.startswith(("MCP_", "OAUTH_"))}


def with_secrets(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return settings whose files are there: each that names a mounted secret names one in the folder."""
    result = dict(settings)
    for name in ("MCP_SEALING_KEYS_FILE", "MCP_STORAGE_PASSWORD_FILE"):
        if name in result:
            file = folder / Path(result[name]).name
            file.write_text(KEY, encoding="ascii")
            result[name] = str(file)
    return result
