"""Settings of the documentation site, for Sphinx.

sphinx-build -W -n -b html docs build/docs

The build needs no network: the theme brings its fonts and scripts along, pages of other projects are
not read, and links to the outside are not visited.
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

# Types of Python, numpy, pymatgen, ASE and pandas are described elsewhere; what an annotation says of
# this package's own types has to lead somewhere.
nitpick_ignore_regex = [("py:.*", r"(?!crystext\.).*")]

html_theme = "furo"
html_title = f"crystext {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"
