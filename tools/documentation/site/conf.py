"""How Sphinx builds the site: strictly, of the pages that `tools/documentation/staging.py` gathers."""

from __future__ import annotations

import re
from typing import Any

from gatepost import __version__

project = "Gatepost"
author = "Gatepost"
version = release = __version__
language = "en"
smartquotes = False  # two hyphens in front of an option stay two hyphens

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 6
myst_heading_anchors_html_ids = True  # a link to a heading is the same here and on a code host

add_module_names = False
python_maximum_signature_line_length = 80
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_inherit_docstrings = False
napoleon_numpy_docstring = False

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = "Gatepost"
html_static_path = ["_static"]
html_css_files = ["gatepost.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
html_theme_options = {"navigation_with_keys": False}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


_CODE = re.compile(r"(?<![`:\w])`([^`]+)`(?![`_])")
_ONE_LINE = {"attribute", "data", "property"}


def setup(app: Any) -> None:
    """Read docstrings as they are written here, which is as Markdown, before napoleon does; keep the sidebar short."""
    app.connect("autodoc-process-docstring", _from_markdown, priority=400)
    app.connect("html-page-context", _near_pages_only, priority=400)


def _near_pages_only(_app: Any, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Show below the parts of the sidebar only the pages beside the one that is read; before the theme builds it.

    All of them on each page would be three hundred links, and a quarter of the time of a build.
    """
    whole = context.get("toctree")
    if whole is not None:
        context["toctree"] = lambda **options: whole(**{**options, "collapse": True})


def _from_markdown(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Mark code in lines, and code that is indented below a paragraph."""
    marked: list[str] = []
    before, in_code = "", False
    for line in lines:
        is_indented = line.startswith("    ")
        if is_indented and not in_code and not before and marked:
            marked += [".. code-block:: python", ""]
            in_code = True
        in_code = in_code and (is_indented or not line)
        marked.append(line if in_code else _CODE.sub(r"``\1``", line))
        before = line
    # Napoleon takes what stands before a colon in the first line of an attribute for its type; here it is a sentence.
    # An empty comment goes first.
    lines[:] = ["..", "", *marked] if what in _ONE_LINE else marked
