"""The catalogues of the pages: brings the PO files in step with the texts of the source, and compiles them.

A text is what stands in `{% trans %}` or `_()` of a template, or in a `Phrase` or `CountedPhrase` of the code. A new
one is added without a translation; one that is nowhere any more goes. `tests/web/pages/test_catalogue.py` holds that
nothing is missing.

    python -m tools.translations          # `make translations`
    python -m tools.translations fr       # begins another language, by its tag
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE: Final = Path(__file__).resolve().parent.parent / "src" / "gatepost"
FOLDER: Final = SOURCE / "web" / "pages" / "catalogue"
_KEYWORDS: Final = {"_": None, "gettext": None, "ngettext": (1, 2), "Phrase": None, "CountedPhrase": (1, 2)}
_METHODS: Final = [("**.html", "jinja2"), ("**.py", "python")]
_OPTIONS: Final = {"**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}


def main(arguments: list[str]) -> int:
    """Write every catalogue anew; return 1 if a translation is missing, else 0."""
    texts, missing = extracted(), 0
    for path in sorted({*FOLDER.glob("*.po"), *(FOLDER / f"{tag}.po" for tag in arguments)}):
        catalogue = brought_in_step(path, texts)
        path.write_bytes(written(catalogue))
        path.with_suffix(".mo").write_bytes(compiled(catalogue))
        lacking = [message for message in catalogue if message.id and not translated(message.string)]
        missing += len(lacking)
        print(f"{path.name}: {len(catalogue)} texts, {len(lacking)} without a translation")
        for message in lacking:
            print(f"  {message.id!r}")
    return 1 if missing else 0


def extracted(source: Path | None = None) -> Catalog:
    """Return every text below a folder, by default of the source, with the files where it stands."""
    catalogue = Catalog(charset="utf-8")
    for name, _, message, _, context in extract_from_dir(source or SOURCE, _METHODS, _OPTIONS, _KEYWORDS):
        catalogue.add(message, None, [(f"src/gatepost/{name}", 0)], context=context)
    return catalogue


def brought_in_step(path: Path, texts: Catalog) -> Catalog:
    """Return the catalogue of a PO file, or a new one, with exactly these texts."""
    catalogue = read(path) if path.exists() else Catalog(locale=path.stem, charset="utf-8")
    catalogue.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    return catalogue


def read(path: Path) -> Catalog:
    """Return the catalogue of a PO file."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def written(catalogue: Catalog) -> bytes:
    """Return a PO file: in the order of the texts and without line numbers, so that a change shows what it changed."""
    file = io.BytesIO()
    write_po(file, catalogue, width=120, sort_output=True, include_lineno=False, omit_header=True)
    header = "".join(f'"{name}: {value}\\n"\n' for name, value in _header(catalogue))
    return f'msgid ""\nmsgstr ""\n{header}\n'.encode() + file.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """Return what `gettext` reads: the same bytes for the same texts."""
    plain = _Dateless(locale=catalogue.locale)
    for message in catalogue:
        if message.id and translated(message.string):
            plain.add(message.id, message.string, context=message.context)
    file = io.BytesIO()
    write_mo(file, plain)
    return file.getvalue()


class _Dateless(Catalog):
    """A catalogue whose header says what is needed to read it, and nothing that changes by itself."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return _header(self)

    @mime_headers.setter
    def mime_headers(self, headers: object) -> None:
        """Take none."""


def _header(catalogue: Catalog) -> list[tuple[str, str]]:
    return [
        ("Language", str(catalogue.locale).replace("_", "-")),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
        ("Plural-Forms", catalogue.plural_forms),
    ]


def translated(string: object) -> bool:
    """Say whether there is a translation, in every form that the language has for numbers."""
    return bool(string) and all(string) if isinstance(string, tuple | list) else bool(string)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
