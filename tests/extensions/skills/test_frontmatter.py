"""The head of a `SKILL.md`: YAML as JSON, so that every host reads what it was told."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.extensions.skills.frontmatter import InvalidFrontmatter, read_frontmatter

HEAD = "name: refunds\ndescription: Process refunds\n"
BASE = {"name": "refunds", "description": "Process refunds"}


def fields(more: str) -> dict[str, Any]:
    """What is read of a frontmatter that goes on with this."""
    return read_frontmatter(f"---\n{HEAD}{more}---\n# Refunds\n").fields


def test_every_field_of_the_author_is_there_as_it_was_written() -> None:
    more = (
        "license: Apache-2.0\n"
        'metadata:\n  version: "1.0"\n  owners: [billing, "support"]\n'
        "allowed-tools:\n  - Bash(git:*)\n  - Read\n"
        "x-text: |\n  two\n  lines\n"
    )

    assert fields(more) == {
        **BASE,
        "license": "Apache-2.0",
        "metadata": {"version": "1.0", "owners": ["billing", "support"]},
        "allowed-tools": ["Bash(git:*)", "Read"],
        "x-text": "two\nlines\n",
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("12", 12),
        ("-7", -7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("yes", "yes"),
        ("on", "on"),
        ("2026-07-28", "2026-07-28"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("=", "="),
        ("9007199254740991", 9007199254740991),
    ],
)
def test_values_are_those_of_the_core_schema_of_yaml_1_2(written: str, read: object) -> None:
    value = fields(f"x: {written}\n")["x"]

    assert (value, type(value)) == (read, type(read))


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert fields("x: {<<: {a: b}}\n")["x"] == {"<<": {"a": "b"}}


@pytest.mark.parametrize("written", ["yes", "Off", "2026-07-28", "1_000", "12:30", "010", "1e3", "0o17", "="])
def test_what_parsers_of_yaml_1_1_read_otherwise_is_named(written: str) -> None:
    assert read_frontmatter(f"---\n{HEAD}x: {written}\n---\n").ambiguous == (written,)


@pytest.mark.parametrize("written", ["'yes'", '"2026-07-28"', "true", "12", "1.5", "some words", "~", "-7", "0"])
def test_what_all_parsers_read_alike_is_not_named(written: str) -> None:
    assert read_frontmatter(f"---\n{HEAD}x: {written}\n---\n").ambiguous == ()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("x: &a [b]\ny: *a\n", "alias"),
        ("x: !!python/name:os.system ''\n", "tag"),
        ("x: !!binary aGk=\n", "tag"),
        ("x: !own text\n", "tag"),
        ("x: !!map {}\n", "tag"),
        ("name: refunds\n", "'name' twice"),
        ("x: {a: 1, a: 2}\n", "'a' twice"),
        ("1: x\n", "no text"),
        ("? [a]\n: x\n", "no text"),
        ("x: .inf\n", "no number"),
        ("x: -.Inf\n", "no number"),
        ("x: .nan\n", "no number"),
        ("x: 1e999\n", "no number"),
        ("x: 9007199254740992\n", "no number"),
        (f"x: {'9' * 5000}\n", "no number"),
        (f"x: {'[' * 17}{']' * 17}\n", "16 levels"),
        ("x: [\n", "no YAML"),
        ("x: a: b\n", "no YAML, line 4"),
        ("x: \x01\n", "no YAML"),
        ('x: "\\uD800"\n', "surrogate"),
        ("...\n--- \nx: y\n", "one YAML document"),
        (f"x: {'y' * 16_384}\n", "more than 16384 characters"),
    ],
)
def test_what_json_has_no_form_for_is_refused(more: str, said: str) -> None:
    with pytest.raises(InvalidFrontmatter, match=said):
        fields(more)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Refunds\n",
        HEAD,
        f"\ufeff---\n{HEAD}---\n",
        f" ---\n{HEAD}---\n",
        f"---\n{HEAD}",
        f"---\n{HEAD} ---\n",
        "---\n---\n",
    ],
)
def test_a_file_that_does_not_begin_with_a_frontmatter_is_refused(text: str) -> None:
    with pytest.raises(InvalidFrontmatter, match="begins with a line ---"):
        read_frontmatter(text)


@pytest.mark.parametrize("inner", ["- a", "text", "[a]", "# nothing"])
def test_a_frontmatter_is_a_mapping(inner: str) -> None:
    with pytest.raises(InvalidFrontmatter, match="mapping"):
        read_frontmatter(f"---\n{inner}\n---\n")


@pytest.mark.parametrize("ending", ["---\n", "---", "---\r\n", "---\nbody\n---\n"])
def test_the_frontmatter_ends_with_the_first_line_of_three_hyphens(ending: str) -> None:
    assert read_frontmatter(f"---\n{HEAD}{ending}").fields == BASE


def test_lines_may_end_as_on_windows() -> None:
    assert read_frontmatter("---\r\nname: refunds\r\ndescription: Process refunds\r\n---\r\n").fields == BASE


@pytest.mark.parametrize(
    "name", ["", "Refunds", "-refunds", "refunds-", "re--funds", "re_funds", "re funds", "r" * 65, "réfunds", "12"]
)
def test_names_are_those_of_the_agent_skills_specification(name: str) -> None:
    with pytest.raises(InvalidFrontmatter, match="name:"):
        read_frontmatter(f"---\nname: {name}\ndescription: x\n---\n")


@pytest.mark.parametrize("description", ["", "''", "'  '", "12", "[a]", "x" * 1025])
def test_descriptions_are_texts_of_1_to_1024_characters(description: str) -> None:
    with pytest.raises(InvalidFrontmatter, match="description:"):
        read_frontmatter(f"---\nname: refunds\ndescription: {description}\n---\n")


@given(st.text(max_size=200))
@example(" 0")
def test_any_text_is_read_or_refused(text: str) -> None:
    found: dict[str, Any] = BASE
    with suppress(InvalidFrontmatter):
        found = read_frontmatter(f"---\n{HEAD}{text}\n---\n").fields

    # An indented line continues the text of the line before (YAML 1.2.2 section 7.3.3).
    assert found["name"] == BASE["name"]
    assert found["description"].startswith(BASE["description"])
