"""What several servers are together: their capabilities, and what each has to say to models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gatepost.fronts.merging.part import Part

_LISTS: Final = ("tools", "prompts", "resources")


def united_capabilities(all_of_them: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what any of the servers declares.

    There are always tools, for a server may come later. That lists change is declared for all of them: a server that
    comes or goes changes them.
    """
    united: dict[str, Any] = {"tools": {}}
    for capabilities in all_of_them:
        united = _united(united, capabilities)
    for name in _LISTS:
        if type(united.get(name)) is dict:
            united[name] = {**united[name], "listChanged": True}
    return united


def joined_instructions(said_by: Mapping[Part, Mapping[str, Any]], own: Mapping[str, str]) -> str | None:
    """Return what the servers say to models, each under what its tools' names begin with; None if all are silent.

    Args:
        said_by: what servers say of themselves.
        own: what our own say, by prefix.
    """
    said = [(prefix, text) for prefix, text in own.items() if text]
    for part, introduction in said_by.items():
        text = introduction.get("instructions")
        if not part.is_own and type(text) is str and text:
            said.append((part.prefix, text))
    texts = [f"Tools and prompts named {prefix}_...:\n{text}" if prefix else text for prefix, text in said]
    return "\n\n".join(texts) or None


def _united(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    united = dict(one)
    for name, value in other.items():
        here = united.get(name)
        if type(here) is dict and type(value) is dict:
            united[name] = _united(here, value)
        elif name not in united or here is False:
            united[name] = value
    return united
