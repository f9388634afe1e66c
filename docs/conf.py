"""Sphinx's settings; `make docs` builds the site."""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import gpicl_envs  # noqa: E402
from docstrings import to_restructured_text  # noqa: E402
from generate import generate  # noqa: E402

project = "gpicl-envs"
author = "The gpicl-envs developers"
copyright = "The gpicl-envs developers, MIT licence"
version = release = gpicl_envs.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["_build"]
default_role = "code"  # docstrings have `names` in single backticks, as Markdown has

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"gpicl-envs {release}"
html_static_path = ["static"]
html_extra_path = ["generated/site"]  # pages that are no part of the theme
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2558a8", "color-brand-content": "#2558a8"},
    "dark_css_variables": {"color-brand-primary": "#7fb0ff", "color-brand-content": "#7fb0ff"},
}


def translate_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Autodoc's hook: Markdown headings and tables, before napoleon reads the Google sections."""
    lines[:] = to_restructured_text(lines)
    if what == "property":
        lines.insert(0, "\\")  # nothing, escaped: else napoleon takes what stands before a first colon for the type


def skip_requests(app: Any, what: str, name: str, *others: Any) -> bool | None:
    """Autodoc's hook: leave out the methods of metadata routing that scikit-learn adds to every estimator."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app: Any) -> None:
    """Generate the pages, and hook into autodoc."""
    generate(HERE / "generated")
    app.connect("autodoc-process-docstring", translate_docstring, priority=400)
    app.connect("autodoc-skip-member", skip_requests)
