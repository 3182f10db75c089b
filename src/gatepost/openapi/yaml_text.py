"""YAML as the value that JSON has for it, by the core schema of YAML 1.2 (section 10.3.2).

OpenAPI asks for what JSON can say (3.1.1, "Format"). PyYAML is the parser, and only its events are used, which
construct nothing: YAML 1.1 would read `no` as a boolean, `12:30` as a number and `2020-01-01` as a date. Nothing here
calls itself, so no nesting is too deep for the stack, and aliases are counted for as often as they are repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # it has no stubs; what comes from it is looked at below

from gatepost.late_dataclass import dataclass

_MOST_NODES: Final = 5_000_000
"""Of a document with its aliases written out. GitHub's description, the largest of the public ones, has 0.6 million."""
_DEEPEST: Final = 200
_MOST_DIGITS: Final = 64
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_CORE_TAG: Final = re.compile(r"tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)")
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_WIDE: Final = 2**63
"""Integers from here on become floats, as those of JSON do here."""
_NO_KEY: Final = object()


class InvalidYAML(ValueError):
    """It is no YAML, or says what JSON has no form for; the message names the line."""


@dataclass(slots=True)
class _Open:
    """A collection that has begun and not ended."""

    collection: dict[str, Any] | list[Any]
    anchor: str | None
    nodes: int = 1
    key: Any = _NO_KEY


@dataclass(slots=True)
class _Reading:
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """What can be repeated, with the number of its nodes."""
    open: list[_Open] = field(default_factory=list)
    value: Any = None
    nodes: int = 0

    def scalar(self, event: Any) -> None:
        is_key = self._awaits_key()
        # A key is a text in JSON, whatever it looks like: `200:` of a response.
        value = event.value if is_key or _is_text(event) else _resolved(event)
        self._anchor(event.anchor, value, 1)
        self._put(value, 1, event)

    def begin(self, event: Any, collection: dict[str, Any] | list[Any]) -> None:
        _check_tag(event)
        if self._awaits_key():
            raise _invalid(event, "a key is a collection, and JSON has texts for keys")
        if len(self.open) >= _DEEPEST:
            raise _invalid(event, f"it nests more than {_DEEPEST} levels deep")
        self.open.append(_Open(collection, event.anchor))

    def end(self, event: Any) -> None:
        ended = self.open.pop()
        self._anchor(ended.anchor, ended.collection, ended.nodes)
        self._put(ended.collection, ended.nodes, event)

    def alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise _invalid(event, f"*{event.anchor} stands inside of what it repeats, or before it")
        value, nodes = self.anchors[event.anchor]
        self._put(value, nodes, event)

    def _awaits_key(self) -> bool:
        return bool(self.open) and type(self.open[-1].collection) is dict and self.open[-1].key is _NO_KEY

    def _anchor(self, anchor: str | None, value: Any, nodes: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, nodes)

    def _put(self, value: Any, nodes: int, event: Any) -> None:
        if not self.open:
            self.value = value
            return
        within = self.open[-1]
        within.nodes += nodes
        if within.nodes > _MOST_NODES:
            raise _invalid(event, "it becomes too large where its aliases (*) are written out")
        if isinstance(within.collection, list):
            within.collection.append(value)
        elif within.key is _NO_KEY:
            within.key = _checked_key(value, within.collection, event)
        else:
            within.collection[within.key] = value
            within.key = _NO_KEY


def load_yaml(text: str) -> Any:
    """Return what one YAML document says; raises InvalidYAML."""
    reading = _Reading()
    documents = 0
    try:
        for event in _events(text):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _invalid(event, "a second document begins")
            elif isinstance(event, yaml.ScalarEvent):
                reading.scalar(event)
            elif isinstance(event, yaml.MappingStartEvent):
                reading.begin(event, {})
            elif isinstance(event, yaml.SequenceStartEvent):
                reading.begin(event, [])
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                reading.end(event)
            elif isinstance(event, yaml.AliasEvent):
                reading.alias(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}: "
        said = getattr(error, "problem", None) or "there are characters that YAML does not have"
        raise InvalidYAML(f"{where}{said}") from None
    return reading.value


def _events(text: str) -> Iterator[Any]:
    # libyaml's, where PyYAML was built with it, is eight times as fast.
    events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return events


def _is_text(event: Any) -> bool:
    _check_tag(event)
    return event.tag == _TEXT_TAG or not event.implicit[0]


def _check_tag(event: Any) -> None:
    if event.tag is not None and not _CORE_TAG.fullmatch(event.tag) and event.tag != "!":
        raise _invalid(event, "there is a tag (!), which JSON does not have")


def _checked_key(value: Any, mapping: dict[str, Any] | list[Any], event: Any) -> str:
    if not isinstance(value, str):
        raise _invalid(event, "a key is no text")
    if value == "<<":
        raise _invalid(event, "there is a merge (<<), which YAML 1.2 does not have; write it out")
    if value in mapping:
        raise _invalid(event, "a key stands twice in one mapping")
    return value


def _resolved(event: Any) -> Any:
    """Return what a scalar without quotes stands for."""
    text: str = event.value
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) > _MOST_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        whole = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        return whole if abs(whole) < _WIDE else float(whole)
    if _FLOAT.fullmatch(text):
        return float(text) if abs(float(text)) != float("inf") else text
    return text


def _invalid(event: Any, problem: str) -> InvalidYAML:
    return InvalidYAML(f"line {event.start_mark.line + 1}: {problem}")
