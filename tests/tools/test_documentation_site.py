"""The documentation site: what is gathered for it, its contents, its generated parts and what a built page may load."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

import gatepost
from gatepost import testing
from gatepost.cli import main
from tools.documentation import (
    accessible,
    built_site,
    command_line,
    diagrams,
    markdown,
    public_names,
    tables,
    tutorial_diagrams,
)
from tools.documentation.build import GENERATED
from tools.documentation.contents import with_contents
from tools.documentation.staging import ROOT, BrokenLinkError, Staging

DOCS = "docs"  # in a variable: what looks like the path of a page is looked for in this repository
INDEX = "# All\n\n## First\n\n- [A page](page.md): words.\n- [More](more/README.md)\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository: two pages, one of them the index of a folder, an example and a picture."""
    for path, text in {
        f"{DOCS}/index.md": INDEX,
        f"{DOCS}/page.md": "# A page\n\nSee [the example](../examples/one.py), `[no](link.md)` and [more](more/).\n",
        f"{DOCS}/more/README.md": "# More\n\n- [B](b.md#part)\n\n![A picture](../images/p.png)\n",
        f"{DOCS}/more/b.md": "# B\n\n## Part\n\n    $ gatepost serve\n\n<!-- make docs: words -->\n",
        f"{DOCS}/images/p.png": "",
        "examples/one.py": "print('```')\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def gathered(repository: Path) -> dict[str, str]:
    pages = Staging(repository, {"words": lambda: "Made *here*."}).gather()
    return {place.as_posix(): text for place, text in pages.items()}


def test_an_index_leads_to_each_page_of_this_repository_and_each_link_leads_somewhere() -> None:
    places = {place.as_posix() for place in Staging(ROOT, GENERATED).gather()}

    assert {"index.md", "decisions/index.md", "reference/command-line.md", "repository/CHANGELOG.md"} <= places


def test_pages_link_to_each_other_where_they_stand_on_the_site(repository: Path) -> None:
    pages = gathered(repository)

    assert sorted(pages) == [
        "index.md",
        "more/b.md",
        "more/index.md",
        "page.md",
        "repository/examples/one.py.md",
        "repository/index.md",
    ]
    assert pages["page.md"] == (
        "# A page\n\nSee [the example](repository/examples/one.py.md), `[no](link.md)` and [more](more/index.md).\n"
    )
    assert pages["more/b.md"] == "# B\n\n## Part\n\n```console\n$ gatepost serve\n```\n\nMade *here*.\n"
    assert "````python\nprint('```')\n````" in pages["repository/examples/one.py.md"]


def test_the_contents_follow_from_the_lists_of_the_indexes(repository: Path) -> None:
    pages = gathered(repository)

    caption = "```{toctree}\n:hidden:\n:caption: First\n\npage\nmore/index\nrepository/index\n```\n"
    assert pages["index.md"].removeprefix(INDEX.replace("README", "index")) == f"\n{caption}"
    assert pages["more/index.md"].endswith("```{toctree}\n:hidden:\n\nb\n```\n")


def test_pictures_and_pages_are_written_and_what_was_there_is_gone(repository: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "old").mkdir(parents=True)

    Staging(repository, {"words": str}).write(site)

    assert (site / "images" / "p.png").is_file()
    assert (site / "more" / "index.md").is_file()
    assert not (site / "old").exists()


def test_a_page_that_nothing_leads_to_is_named_with_what_to_do() -> None:
    pages = {PurePosixPath("index.md"): INDEX, PurePosixPath("page.md"): "", PurePosixPath("lost.md"): ""}

    with pytest.raises(LookupError) as refused:
        with_contents(pages)
    assert str(refused.value) == "No index leads to lost.md: add a line to a list in docs/index.md."


def test_a_link_that_leads_nowhere_is_named_with_its_page(repository: Path) -> None:
    (repository / "docs" / "page.md").write_text("# A page\n\n[gone](../examples/two.py)\n", encoding="utf-8")

    with pytest.raises(BrokenLinkError) as refused:
        gathered(repository)
    assert str(refused.value) == (
        f"{DOCS}/page.md links to examples/two.py, which is no file and no folder with a README."
    )


def test_a_diagram_stands_in_the_page_with_its_words_and_without_colours_of_its_own(repository: Path) -> None:
    svg = '<svg viewBox="0 0 1 1"><style>svg{color:red}</style><path stroke="currentColor"/></svg>\n'
    (repository / "docs" / "images" / "d.svg").write_text(svg, encoding="utf-8")
    (repository / "docs" / "page.md").write_text("# A page\n\n![From a to b](images/d.svg)\n", encoding="utf-8")

    assert gathered(repository)["page.md"] == (
        '# A page\n\n```{raw} html\n<div class="diagram" tabindex="0">\n'
        '<svg role="img" aria-label="From a to b" viewBox="0 0 1 1"><path stroke="currentColor"/></svg>\n</div>\n```\n'
    )


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("$ gatepost serve notes:server\n", "console"),
        ("gatepost users list\n", "bash"),
        ("MCP_PORT=1 gatepost serve\n", "bash"),
        ("[[client]]\nid = 'a'\n", "toml"),
        ("[pgbouncer]\npool_mode = transaction\n", "ini"),
        ('{"a": [1]}\n', "json"),
        ("from gatepost import Server\nawait x\n", "python"),
        ("import what you like\n", "text"),
        ("GET /mcp\n", "text"),
    ],
)
def test_code_without_a_fence_gets_the_language_that_it_is_in(code: str, language: str) -> None:
    assert markdown.language_of(code) == language


def test_indented_code_below_a_list_item_stays_in_the_item() -> None:
    assert markdown.fenced("- one\n\n      a = f(1)\n\n- two\n") == "- one\n\n  ```python\n  a = f(1)\n  ```\n\n- two\n"


def test_the_reference_of_the_command_line_shows_every_command_and_action() -> None:
    shown = re.findall(r"^#+ (gatepost.*)$", command_line.reference(), re.MULTILINE)

    assert [words for words in shown if words.count(" ") == 1] == [f"gatepost {name}" for name in main._COMMANDS]
    assert {"gatepost", "gatepost users add", "gatepost store check"} <= set(shown)
    assert len(shown) == len(set(shown))


def test_the_reference_of_the_command_line_is_the_same_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = command_line.reference()
    monkeypatch.setenv("COLUMNS", "40")

    assert command_line.reference() == wide


def test_the_reference_of_the_names_shows_every_public_name_once_and_each_is_described() -> None:
    shown = re.findall(r"^### (\w+)$", public_names.reference(), re.MULTILINE)

    for_tests = re.findall(r"^### gatepost\.testing\.(\w+)$", public_names.reference(), re.MULTILINE)
    assert sorted(shown) == sorted(name for name in gatepost.__all__ if name != "__version__")
    assert for_tests == testing.__all__
    described = {name for name in shown if inspect.getdoc(getattr(gatepost, name)) or name in public_names.WORDS}
    assert set(shown) - described == set()


def test_the_table_of_attacks_has_each_demand_with_the_files_that_try_it() -> None:
    rows = tomllib.loads((ROOT / "tests" / "attacks" / "rows.toml").read_text(encoding="utf-8"))["row"]
    lines = tables.attacks().splitlines()[2:]

    assert [line.split(" | ")[0] for line in lines] == [f"| {row['id']}" for row in rows]
    assert [line for line in lines if "`tests/" not in line and "tests/" not in line] == []


def test_each_finding_has_a_section_with_guess_happening_and_why_it_matters() -> None:
    scripts = sorted(path.stem for path in (ROOT / "findings").glob("*.sh"))
    text = tables.findings()

    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == scripts
    assert text.count("- **Matters**: ") == len(scripts)


@pytest.mark.parametrize(
    ("page", "objection"),
    [
        ('<script src="https://host.example/x.js"></script>', "loads https://host.example/x.js from another host"),
        ('<link rel="stylesheet" href="//host.example/x.css">', "loads //host.example/x.css from another host"),
        ('<img src="gone.png" alt="A picture">', "loads gone.png, which does not exist"),
        ('<a href="gone.html">x</a>', "links to gone.html, which does not exist"),
        ('<a href="#gone">x</a>', "links to #gone, and there is no such anchor"),
        ('<img src="data:,x">', "shows data:,x without a text in its place"),
    ],
)
def test_a_built_page_that_loads_from_elsewhere_or_leads_nowhere_is_named(
    page: str, objection: str, tmp_path: Path
) -> None:
    (tmp_path / "a.html").write_text(page, encoding="utf-8")

    assert built_site.objections(tmp_path) == [f"a.html: {objection}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.css", "@font-face { src: url('https://host.example/font') }"),
        ("a.svg", "<svg><style>x { fill: url(//host.example/font) }</style></svg>"),
        ("a.js", 'fetch("https://host.example/font")'),
    ],
)
def test_a_style_sheet_or_script_that_loads_from_elsewhere_is_named(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert [line.split(" from ")[1] for line in built_site.objections(tmp_path)] == ["another host"]


def test_a_built_page_that_is_sound_has_no_objections(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="b">B</h1><a href="a.html#b">b</a><a href="https://x.example/">x</a>')

    assert built_site.objections(tmp_path) == []


@pytest.mark.parametrize(
    ("drawn", "name"), [(drawn, name) for drawn in (diagrams, tutorial_diagrams) for name in drawn.DIAGRAMS]
)
def test_a_diagram_is_as_it_is_drawn_and_stands_in_a_page_with_words(drawn: ModuleType, name: str) -> None:
    folder = drawn.FOLDER.name
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / folder).glob("*.md"))

    assert (drawn.FOLDER / f"{name}.svg").read_text(encoding="utf-8") == drawn.DIAGRAMS[name]()
    assert len(re.findall(rf"!\[[^\]]{{40,}}\]\(\.\./images/{folder}/{name}\.svg\)", pages)) == 1


@pytest.mark.parametrize(
    ("built", "mended"),
    [
        ("<pre>x</pre>", '<pre tabindex="0">x</pre>'),
        ('<th class="head"><p></p></th><th class="head"><p>A</p></th>', '<td></td><th class="head"><p>A</p></th>'),
        (
            "<dt>f(<dl>\n<dd><em>a</em>,</dd>\n<dd>b</dd>\n</dl>)</dt>",
            (
                '<dt>f(<span class="sig-lines">\n<span class="sig-line"><em>a</em>,</span>\n'
                '<span class="sig-line">b</span>\n</span>)</dt>'
            ),
        ),
        ("<dl>\n<dt>a</dt><dd>b</dd>\n</dl>", "<dl>\n<dt>a</dt><dd>b</dd>\n</dl>"),
    ],
)
def test_what_a_keyboard_or_a_screen_reader_needs_is_put_into_built_pages(built: str, mended: str) -> None:
    assert accessible.mended(built) == mended
