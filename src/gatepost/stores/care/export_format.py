"""The file of an export: lines of JSON, so that any program can read it and a cut is noticed.

    {"gatepost_export": 1, "schema_version": 14, "made_at": 1800000000, "made_by": "0.1.0", "rows": 2,
     "tables": {"users": {"columns": ["subject", …], "rows": 1}, …}}
    ["users", ["user-1", …]]
    …
    {"end": {"rows": 2, "sha256": "…"}}

A line for each row: its table, and its values in the order of the columns: null, a whole number of 64 bits, text, or
bytes as {"base64": "…"}. The checksum is over all bytes before the last line. It tells a file that was cut or damaged;
against somebody who may write the file it is no protection, as a database is none.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, NoReturn

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.sql.database import Value

FORMAT: Final = 1
LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes, so that a file of something else does not fill the memory."""
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the first line says."""

    schema_version: int
    made_at: int
    """Seconds UTC."""
    made_by: str
    """The version of Gatepost."""
    columns: Mapping[str, Sequence[str]]
    """By table."""
    rows: Mapping[str, int]
    """By table."""

    @property
    def total(self) -> int:
        """All rows."""
        return sum(self.rows.values())


class ExportWriter:
    """Writes one.

    Args:
        write: takes the next bytes.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._sum = hashlib.sha256()

    def header(self, header: Header) -> None:
        """Write the first line."""
        tables = {
            table: {"columns": list(columns), "rows": header.rows[table]} for table, columns in header.columns.items()
        }
        said = {"gatepost_export": FORMAT, "schema_version": header.schema_version, "made_at": header.made_at}
        self._lines([{**said, "made_by": header.made_by, "rows": header.total, "tables": tables}])

    def rows(self, table: str, rows: Sequence[Sequence[Value]]) -> None:
        """Write rows of a table, all at once."""
        self._lines([[table, [_as_json(value) for value in row]] for row in rows])

    def end(self, header: Header) -> None:
        """Write the last line."""
        self._lines([{"end": {"rows": header.total, "sha256": self._sum.hexdigest()}}])

    def _lines(self, lines: Sequence[Any]) -> None:
        data = "".join(f"{json.dumps(line, ensure_ascii=False, separators=(',', ':'))}\n" for line in lines).encode()
        self._sum.update(data)
        self._write(data)


class ExportReader:
    """Reads one, a line at a time.

    Everything raises `StoreMisconfigured` for a file that is cut, damaged or no export; it names the line and shows
    nothing of it.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._sum = hashlib.sha256()
        self.number = 0
        """Of the line that was read last, from 1 on."""

    def header(self) -> Header:
        """Read the first line."""
        first = self._next()
        self._sum.update(first)
        said = self._line(first)
        try:
            if said["gatepost_export"] != FORMAT:
                raise StoreMisconfigured(
                    f"the export has the format {said['gatepost_export']!r:.20} and this Gatepost reads {FORMAT}: "
                    "use the Gatepost that made it, or a newer one"
                )
            tables = said["tables"]
            header = Header(
                schema_version=_number(said["schema_version"]),
                made_at=_number(said["made_at"]),
                made_by=str(said["made_by"]),
                columns={table: tuple(map(str, about["columns"])) for table, about in tables.items()},
                rows={table: _number(about["rows"]) for table, about in tables.items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise StoreMisconfigured("this is no export of a store: its first line is not that of one") from None
        if said.get("rows") != header.total:
            self._refuse("counts other rows than its tables")
        return header

    def rows(self) -> Iterator[tuple[str, list[Value]]]:
        """Read the rows, and the last line, which has to fit what came before it and to be the last."""
        counted = 0
        while not (read := self._next()).startswith(b"{"):
            self._sum.update(read)
            counted += 1
            match self._line(read):
                case [str(table), list(values)]:
                    yield table, [self._value(value) for value in values]
                case _:
                    self._refuse("is no row")
        end = self._line(read).get("end")
        if end != {"rows": counted, "sha256": self._sum.hexdigest()}:
            raise StoreMisconfigured("the export was altered or damaged: its checksum is another; make a new one")
        if self._source.read(1):
            raise StoreMisconfigured("the export goes on behind its end: it is none, or several in one file")

    def _next(self) -> bytes:
        line = self._source.readline(LONGEST_LINE)
        self.number += 1
        if not line.endswith(b"\n"):
            if self.number == 1:
                raise StoreMisconfigured("this is no export of a store: its first line is not that of one")
            raise StoreMisconfigured(f"the export is cut in line {self.number}: it has no end; make a new one")
        return line

    def _line(self, line: bytes) -> Any:
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            self._refuse("is no JSON")

    def _value(self, value: Any) -> Value:
        match value:
            case None | str():
                return value
            case int() if not isinstance(value, bool) and -_LARGEST - 1 <= value <= _LARGEST:
                return value
            case {"base64": str(text), **others} if not others:
                try:
                    return base64.b64decode(text, validate=True)
                except ValueError:
                    pass
        return self._refuse("holds a value that no column takes")

    def _refuse(self, why: str) -> NoReturn:
        raise StoreMisconfigured(f"line {self.number} of the export {why}: it is damaged, or none") from None


def _as_json(value: Value) -> object:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("no whole number")
    return value
