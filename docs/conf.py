"""Settings of the documentation site, for Sphinx.

sphinx-build -W -n -b html docs build/site

The build needs no network: the theme brings its fonts and scripts along, pages of other projects
are not read, and links to the outside are not visited.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import crystext

project = "crystext"
author = "the crystext authors"
project_copyright = author
version = release = crystext.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "command_help",
    "schema",
]
exclude_patterns = ["_extensions"]

# Pages are Markdown, which git forges show, too.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Notebooks keep the outputs that their authors saw; tests execute them.
nb_execution_mode = "off"
nb_ipywidgets_js = {}

# Docstrings say code between single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90

# Only what the package exports is described here. A type of an annotation that is described nowhere
# stands as text; a name such as `crystext.Sample` has to lead somewhere.
nitpick_ignore_regex = [("py:.*", r"(?!crystext\.[A-Z]).*")]

html_theme = "furo"
html_title = f"crystext {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"


def _link_public_name(app, env, node, contnode):  # type: ignore[no-untyped-def]
    """Link a type by the name that the package exports, wherever it is defined."""
    name = node.get("reftarget", "").rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in crystext.__all__:
        return None
    return env.domains["py"].resolve_xref(
        env, node["refdoc"], app.builder, "obj", f"crystext.{name}", node, contnode
    )


def _mark_examples(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Have indented lines behind a blank one set as code, as docstrings mean them."""
    for place in range(len(lines) - 1, 1, -1):
        indented = lines[place].startswith("    ") and not lines[place - 1].strip()
        before = next((line for line in reversed(lines[: place - 1]) if line.strip()), "    ")
        if indented and not before.startswith("    "):
            lines[place:place] = ["::", ""]


def _keep_attribute_text(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Keep napoleon from reading the text of an attribute as `type: description`.

    It does so where the first line has a colon, and no setting turns it off. An empty comment takes
    the place of that line.
    """
    if what in ("attribute", "property") and lines:
        lines[:0] = ["..", ""]


def setup(app):  # type: ignore[no-untyped-def]
    """Connect what this file adds to Sphinx."""
    app.connect("missing-reference", _link_public_name)
    app.connect("autodoc-process-docstring", _keep_attribute_text, priority=400)
    # Before napoleon, which indents.
    app.connect("autodoc-process-docstring", _mark_examples, priority=400)
