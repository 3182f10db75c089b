"""Cuts a public description down to what tools are made of, for the files beside this one (README.md).

python tests/openapi/descriptions/cut.py openapi.json github.json.xz
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it has no stubs

from gatepost.openapi.yaml_text import load_yaml

LEFT_OUT = frozenset({"example", "examples", "externalDocs", "links", "callbacks", "webhooks", "securitySchemes"})
MAPS = frozenset({"properties", "schemas", "parameters", "responses", "headers", "content", "paths", "requestBodies"})
"""Members whose keys are names that the description's author chose."""
LONGEST = 60


def cut(node: Any, *, has_names: bool = False) -> Any:
    """Return it without examples and extensions, and with short texts."""
    if isinstance(node, list):
        return [cut(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    for name, value in node.items():
        if has_names or not (name in LEFT_OUT or str(name).startswith("x-")):
            is_map = not has_names and name in MAPS and isinstance(value, dict)
            is_text = not has_names and name in {"description", "summary"} and isinstance(value, str)
            kept[name] = value[:LONGEST] if is_text else cut(value, has_names=is_map)
    return kept


def main(source: Path, target: Path) -> None:
    """Write the target, as JSON or, if its name says so, as YAML."""
    text = source.read_text(encoding="utf-8")
    small = cut(json.loads(text) if source.suffix == ".json" else load_yaml(text))
    if ".yaml" in target.suffixes:
        written = str(yaml.safe_dump(small, allow_unicode=True, sort_keys=False, width=120))
    else:
        written = json.dumps(small, separators=(",", ":"), ensure_ascii=False)
    target.write_bytes(lzma.compress(written.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
