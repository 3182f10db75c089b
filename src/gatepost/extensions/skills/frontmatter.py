"""The frontmatter of a `SKILL.md`: YAML, read as the JSON object with which hosts compare it (SEP-2640, "Frontmatter").

Hosts parse the file again, and load no skill whose frontmatter they read otherwise. So it is read by the core schema of
YAML 1.2.2 (section 10.3.2), and what JSON has no form for is refused: tags, aliases, keys that are no texts, numbers
beyond what every parser of JSON keeps. Only the events of PyYAML are used, which construct nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # it has no stubs; what comes from it is looked at below

from gatepost.late_dataclass import dataclass

_BLOCK: Final = re.compile(r"---\r?\n(.*?\n)---(?:\r?\n|\Z)", re.DOTALL)
_LONGEST: Final = 16_384
"""Characters of a frontmatter: eight times what the fields of the Agent Skills specification may have."""
_DEEPEST: Final = 16
_LARGEST: Final = 2**53 - 1  # RFC 8259 section 6: integers beyond it are not the same everywhere
_MOST_DIGITS: Final = 64
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_OLDER: Final = yaml.SafeLoader.yaml_implicit_resolvers
"""What the schema of YAML 1.1 takes for something else than a text: by first character, tags with their patterns."""
_TAG: Final = "tag:yaml.org,2002:"
_TAGS: Final = {type(None): "null", bool: "bool", int: "int", float: "float", str: "str"}

NAME: Final = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
"""Names of skills (Agent Skills specification, "name field")."""
_LONGEST_DESCRIPTION: Final = 1024


class InvalidFrontmatter(ValueError):
    """The head of a `SKILL.md` is not as the specifications have it; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Frontmatter:
    """What stands at the head of a `SKILL.md`."""

    fields: dict[str, Any]
    """A JSON object. Not changed."""
    ambiguous: tuple[str, ...] = field(default=(), compare=False)
    """Values without quotes that parsers of YAML 1.1 read otherwise than those of YAML 1.2, such as `yes`."""

    @property
    def name(self) -> str:
        """What the skill is called, and its folder."""
        name: str = self.fields["name"]
        return name

    @property
    def description(self) -> str:
        """What the skill does, and when to use it."""
        description: str = self.fields["description"]
        return description


def read_frontmatter(text: str) -> Frontmatter:
    """Return the frontmatter of a `SKILL.md`; raises InvalidFrontmatter."""
    found = _BLOCK.match(text)
    if found is None:
        raise InvalidFrontmatter("it begins with a line ---, then name: and description:, then a line ---")
    if len(found[1]) > _LONGEST:
        raise InvalidFrontmatter(f"its frontmatter has more than {_LONGEST} characters")
    reading = _Reading()
    try:
        fields = reading.document(found[1])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 2}"
        said = getattr(error, "problem", None) or "there are characters that YAML does not have"
        raise InvalidFrontmatter(f"its frontmatter is no YAML{where}: {said}") from None
    if type(fields) is not dict:
        raise InvalidFrontmatter("its frontmatter is a mapping with name: and description:")
    _check_required(fields)
    return Frontmatter(fields, tuple(reading.ambiguous))


def _check_required(fields: dict[str, Any]) -> None:
    name, description = fields.get("name"), fields.get("description")
    if type(name) is not str or not NAME.fullmatch(name):
        raise InvalidFrontmatter(
            "its name: is 1 to 64 of a-z, 0-9 and -, with no - at the beginning, at the end or beside another one"
        )
    if type(description) is not str or not description.strip() or len(description) > _LONGEST_DESCRIPTION:
        raise InvalidFrontmatter(f"its description: is a text of 1 to {_LONGEST_DESCRIPTION} characters")


class _Reading:
    """From the events of one document to its value."""

    def __init__(self) -> None:
        self.ambiguous: list[str] = []

    def document(self, text: str) -> Any:
        events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise InvalidFrontmatter("its frontmatter is one YAML document")
                value = self._value(next(events), events, 0)
        return value

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            raise InvalidFrontmatter("its frontmatter has an alias (*), which JSON does not have; write it out")
        if event.tag is not None:
            raise InvalidFrontmatter("its frontmatter has a tag (!), which JSON does not have")
        if depth > _DEEPEST:
            raise InvalidFrontmatter(f"its frontmatter is nested more than {_DEEPEST} levels deep")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return [self._value(item, events, depth + 1) for item in _until(yaml.SequenceEndEvent, events)]
        mapping: dict[str, Any] = {}
        for key_event in _until(yaml.MappingEndEvent, events):
            key = self._value(key_event, events, depth + 1)
            if type(key) is not str:
                raise InvalidFrontmatter("a key of its frontmatter is no text; put it in quotes")
            if key in mapping:
                raise InvalidFrontmatter(f"its frontmatter has {key!r} twice")
            mapping[key] = self._value(next(events), events, depth + 1)
        return mapping

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidFrontmatter("its frontmatter has half of a surrogate pair, which is no character") from None
        if not event.implicit[0]:
            return text
        value = _resolved(text)
        if _is_read_otherwise(text, value):
            self.ambiguous.append(text)
        return value


def _until(end: type, events: Iterator[Any]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _resolved(text: str) -> Any:
    """Return what a scalar without quotes stands for; raises InvalidFrontmatter if JSON has no such value."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    number: float | None = None
    if _INTEGER.fullmatch(text):
        # Python itself reads no integers of thousands of digits.
        number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if len(text) <= _MOST_DIGITS else None
    elif _FLOAT.fullmatch(text):
        number = float(text)
    elif not _NO_NUMBER.fullmatch(text):
        return text
    if number is None or math.isinf(number) or (type(number) is int and abs(number) > _LARGEST):
        raise InvalidFrontmatter(f"{text[:_MOST_DIGITS]} is no number that JSON keeps; put it in quotes")
    return number


def _is_read_otherwise(text: str, value: Any) -> bool:
    """Say whether a parser of YAML 1.1 reads a scalar without quotes otherwise; there are many, PyYAML for one."""
    resolvers = [*_OLDER.get(text[:1], ()), *_OLDER.get(None, ())]
    older = next((tag.removeprefix(_TAG) for tag, pattern in resolvers if pattern.match(text)), "str")
    # An octal number of YAML 1.1 is a decimal one of YAML 1.2.
    return bool(older != _TAGS[type(value)] or (older == "int" and re.match(r"[-+]?0[0-7]", text)))
