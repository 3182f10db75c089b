from __future__ import annotations

import pytest

from gatepost.server.declared.signature import Documentation, read_docstring


def test_no_docstring_says_nothing() -> None:
    assert read_docstring(None) == Documentation()
    assert read_docstring("   \n  ") == Documentation()


def test_a_docstring_without_sections_is_the_description() -> None:
    text = """Keep a note.

    Notes: they are kept for ever.
    """
    assert read_docstring(text) == Documentation("Keep a note.\n\nNotes: they are kept for ever.")


def test_google_sections_give_parameters_and_end_the_description() -> None:
    text = """Keep a note.

    It is kept for ever.

    Args:
        text: What to keep,
            in one line or several.
        tags (list[str]): How to find it again.
        empty:

        **more: And so on: with a colon.

    Returns:
        id: The note's number.

    Raises:
        ValueError: Never.
    """
    assert read_docstring(text) == Documentation(
        "Keep a note.\n\nIt is kept for ever.",
        {
            "text": "What to keep, in one line or several.",
            "tags": "How to find it again.",
            "more": "And so on: with a colon.",
        },
    )


def test_numpy_sections_give_parameters_and_end_the_description() -> None:
    text = """Keep a note.

    Parameters
    ----------
    text : str
        What to keep,
        in one line.
    a, b
        Two alike.

    Returns
    -------
    int
        The note's number.
    """
    assert read_docstring(text) == Documentation(
        "Keep a note.", {"text": "What to keep, in one line.", "a": "Two alike.", "b": "Two alike."}
    )


@pytest.mark.parametrize("text", ["Args: none", "Args:", "Args:\nnot indented", "Parameters\n--"])
def test_what_only_resembles_a_section_is_description(text: str) -> None:
    assert read_docstring(text) == Documentation(text)


def test_a_section_without_entries_gives_no_parameters() -> None:
    assert read_docstring("Keep.\n\nArgs:\n    see elsewhere\n") == Documentation("Keep.")
    assert read_docstring("Keep.\n\nParameters\n----------\n") == Documentation("Keep.")
