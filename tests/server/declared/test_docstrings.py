from __future__ import annotations

import pytest

from gatepost.server.declared.docstrings import Documentation, read_docstring


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


def test_what_belongs_to_no_parameter_is_description() -> None:
    assert read_docstring("Keep.\n\nArgs:\n    see elsewhere\n") == Documentation("Keep.\n\nsee elsewhere")
    assert read_docstring("Keep.\n\nParameters\n----------\n") == Documentation("Keep.")


def test_a_paragraph_after_a_section_is_description() -> None:
    text = """Keep a note.
    Args:
        text: What to keep.

        In any language.
        owner: Whose it is.

    It is kept for ever.

    Returns:
        The number.

    Example:
        keep("milk")
    """
    assert read_docstring(text) == Documentation(
        'Keep a note.\n\nIt is kept for ever.\n\nExample:\n    keep("milk")',
        {"text": "What to keep. In any language.", "owner": "Whose it is."},
    )


def test_other_sections_of_numpys_are_description() -> None:
    text = """Keep a note.

    Parameters
    ----------
    text : str
        What to keep.
    owner : User, optional

    Notes
    -----
    It is kept for ever.

    Returns
    -------
    int
        The number.

    Or so they say.
    """
    assert read_docstring(text) == Documentation(
        "Keep a note.\n\nNotes\n-----\nIt is kept for ever.\n\nOr so they say.", {"text": "What to keep."}
    )


def test_a_paragraph_after_numpys_parameters_is_description() -> None:
    text = "Keep.\n\nParameters\n----------\ntext\n    What.\n\nIt is kept for ever."
    assert read_docstring(text) == Documentation("Keep.\n\nIt is kept for ever.", {"text": "What."})


def test_sphinx_fields_give_parameters_and_are_no_description() -> None:
    text = """Keep a note.

    :param text: What to keep,
        in one line or several.
    :type text: str
    :param int number: Which note: by number.
    :param empty:
    :returns: The number.
    :raises ValueError: Never,
        or nearly.

    It is kept for ever. See :func:`add`.
    """
    assert read_docstring(text) == Documentation(
        "Keep a note.\n\nIt is kept for ever. See :func:`add`.",
        {"text": "What to keep, in one line or several.", "number": "Which note: by number."},
    )


@pytest.mark.parametrize(
    ("entry", "name", "described"),
    [
        ("text (dict[str, tuple(int)], optional): What (to: keep): it.", "text", "What (to: keep): it."),
        ("text(str): What.", "text", "What."),
        ("text : What.", "text", "What."),
        ("`text`: What.", "text", "What."),
        ("**text** (str): What.", "text", "What."),
        ("- text: What.", "text", "What."),
        ("* text (str): What.", "text", "What."),
        ("text:\n        What.", "text", "What."),
        ("text: See\n    https://example.com/a", "text", "See https://example.com/a"),
        ("other, text: What.", "text", "What."),
        ("\ttext: What,\n\t\tor not.", "text", "What, or not."),
    ],
)
def test_an_entry_is_understood_however_people_write_it(entry: str, name: str, described: str) -> None:
    read = read_docstring(f"Keep.\n\nArgs:\n    {entry}\n\nKept.")
    assert (read.description, read.parameters[name]) == ("Keep.\n\nKept.", described)


def test_a_list_that_is_not_indented_and_a_blank_line_after_the_header_are_understood() -> None:
    assert read_docstring("Keep.\n\nArgs:\n- a: One.\n- b: Two,\n  or more.\n\nKept.") == Documentation(
        "Keep.\n\nKept.", {"a": "One.", "b": "Two, or more."}
    )
    assert read_docstring("Keep.\n\nArgs:\n\n    a: One.") == Documentation("Keep.", {"a": "One."})
