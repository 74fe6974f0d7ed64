"""The documentation site: `make docs` builds it, without a network, every warning an error."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import lmmcore  # noqa: E402

project = "lmmcore"
author = "the lmmcore authors"
release = version = lmmcore.__version__
project_copyright = "BSD 3-Clause licence"

extensions = ["myst_parser", "sphinx.ext.autodoc", "plain_docstrings", "mathml"]
exclude_patterns = ["_build", "_ext", "images"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = "lmmcore"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # a page opened as a file cannot fetch the others
html_last_updated_fmt = None
pygments_style = "friendly"
