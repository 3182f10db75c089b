"""A server with a tool for each type in the table of docs/arguments.md; it returns what it was called with."""

import inspect
import json
import re
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from gatepost import Server

PAGE = Path(__file__).parents[2] / "docs" / "arguments.md"
_CELL = r"`((?:[^`])*)`"
_ROW = re.compile(rf"^\| {_CELL} \| {_CELL} \| (?:{_CELL}|refused) \|$", re.MULTILINE)


class Filter(BaseModel):
    """What to look for."""

    tag: str = "all"
    limit: int = 10


Row = tuple[str, str, str | None]
"""A declared type, what is sent and what that is taken as, both as JSON; None if it is refused."""


def rows() -> list[Row]:
    """Return the table."""
    found = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [(declared.replace("\\|", "|"), sent, taken or None) for declared, sent, taken in found]


def tool_of(declared: str) -> str:
    """Return the name of the tool that takes this."""
    return re.sub(r"\W+", "_", declared).strip("_") + f".{sum(declared.encode())}"


def _returning(declared: str) -> Any:
    annotation, _, default = declared.partition(" = ")
    types = {"Filter": Filter, "Literal": Literal, "date": date}
    taken = eval(annotation, types)  # noqa: S307 (a type of our own page)
    empty = inspect.Parameter.empty
    value = inspect.Parameter(
        "value",
        inspect.Parameter.KEYWORD_ONLY,
        annotation=taken,
        default=eval(default) if default else empty,  # noqa: S307 (likewise)
    )
    # Another parameter, so that a model is an argument and not the arguments themselves.
    other = inspect.Parameter("other", inspect.Parameter.KEYWORD_ONLY, annotation=int, default=0)

    def function(value: Any, other: int) -> str:
        del other
        return json.dumps(value, default=lambda one: one.model_dump() if isinstance(one, BaseModel) else str(one))

    function.__signature__ = inspect.Signature([value, other])  # type: ignore[attr-defined] # as PEP 362 has it
    function.__annotations__ = {"value": taken, "other": int, "return": str}
    return function


server = Server("arguments")
for _declared in dict.fromkeys(row[0] for row in rows()):
    server.tool(name=tool_of(_declared))(_returning(_declared))


@server.tool
def search(text: str) -> str:
    """Take one argument and no other."""
    return text
