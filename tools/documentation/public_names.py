"""The reference of the Python names: all of `gatepost.__all__` and those for tests, with directives for autodoc."""

from __future__ import annotations

import inspect
from typing import Any, Final

import gatepost
from gatepost import testing

_PARTS: Final = {
    "Serving": ("gatepost.app", "gatepost.protected_app", "gatepost.stdio", "gatepost.web.site"),
    "Tools, resources and prompts": ("gatepost.extensions", "gatepost.server", "mcp_types"),
    "Servers of others and applications": ("gatepost.fronts", "gatepost.web.resource"),
    "Who the user is": ("gatepost.identity",),
    "Scopes and tokens": ("gatepost.outbound", "gatepost.resource"),
    "Texts and errors": ("gatepost.protocol", "gatepost.wording"),
}

WORDS: Final = {"CallNext": "What a hook around calls runs to go on: an async function without arguments."}
"""What is said of an alias, which has no docstring at run time."""


def names_by_part() -> dict[str, list[str]]:
    """Return the public names below the heading of the part that their home belongs to."""
    parts: dict[str, list[str]] = {part: [] for part in _PARTS}
    for name in gatepost.__all__:
        if not name.startswith("__"):
            parts[_part_of(name)].append(name)
    return parts


def _part_of(name: str) -> str:
    home = gatepost._HOMES[name]  # noqa: SLF001 - where a public name comes from is known to nobody else
    for part, packages in _PARTS.items():
        if any(home == package or home.startswith(f"{package}.") for package in packages):
            return part
    raise LookupError(f"tools/documentation/public_names.py has no part for {name} of {home}.")


def reference() -> str:
    """Return the sections of the reference in MyST: a part each, in it a directive for each name."""
    sections = []
    for part, names in names_by_part().items():
        entries = [
            f"### {name}\n\n{WORDS.get(name, '')}\n\n{_directive(name, getattr(gatepost, name))}" for name in names
        ]
        sections.append("\n".join([f"## {part}\n", *entries]))
    entries = [
        f"### gatepost.testing.{name}\n\n{_directive(f'testing.{name}', getattr(testing, name))}"
        for name in testing.__all__
    ]
    return "\n".join([*sections, "## Testing\n", *entries])


def _directive(name: str, value: Any) -> str:
    kind, options = _kind_of(value)
    lines = [f".. {kind}:: gatepost.{name}", *(f"   :{option}:" for option in options)]
    return "\n".join(["```{eval-rst}", *lines, "```", ""])


def _kind_of(value: Any) -> tuple[str, tuple[str, ...]]:
    if inspect.isclass(value):
        # What another package declares is described there.
        ours = value.__module__.startswith("gatepost.")
        return ("autoexception" if issubclass(value, BaseException) else "autoclass"), ("members",) if ours else ()
    return ("autofunction" if inspect.isfunction(value) else "autodata"), ()
