"""How Sphinx builds the pages: ``python -m sphinx -W docs build/docs``."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import vcviz

project = "vcviz"
version = release = vcviz.__version__
html_title = f"vcviz {version}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "drawn",  # drawn.py, beside this file
]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["house.css"]
html_math_renderer = "mathml"
html_show_copyright = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# The README's headings begin at the second level where it is included.
suppress_warnings = ["myst.header"]

# A name between single backticks is looked up, and is plain code where vcviz has none of it.
default_role = "py:obj"
autodoc_typehints = "none"  # types stand in the docstrings, with their shapes
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
python_maximum_signature_line_length = 80

#: what a reader of the sources finds beside this folder -> the page that includes it
BESIDE = {"](../benchmarks/RESULTS.md": "](benchmarks/RESULTS.md"}


def describe(_app, _what, _name, _obj, _options, lines):
    """Keep what is said of a parameter together: numpydoc takes its first line for a type.

    It goes beneath a parameter's name; beside that of an attribute, where numpydoc would put the
    attribute's own docstring in its place. A short type with a sentence beneath it stays a type.
    """
    section, beside, found = "", False, []
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch("-{3,}", after):
            section = line
        entry = section in ("Parameters", "Attributes") and re.match(r"(\S.*?) : (.+)", line)
        if entry:
            beside = section == "Attributes"
            if len(entry[2]) < 40 and re.match(r" +[A-Z]", after):
                beside = False
            elif not beside:
                found += [entry[1], f"    {entry[2]}"]
                continue
        elif beside and line.startswith("    "):
            found[-1] += f" {line.strip()}"
            continue
        else:
            beside = False
        found.append(line)
    lines[:] = found


def keep_bars(_app, _what, _name, _obj, _options, lines):
    """Keep |x| in docstrings an absolute value: to reStructuredText it is a substitution."""
    example = False
    for i, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if example:
            continue
        parts = re.split(r"(`+[^`]*`+)", line)
        lines[i] = "".join(p if p.startswith("`") else p.replace("|", r"\|") for p in parts)


def link_pages(_app, _page, source):
    """Turn links to files outside of this folder into links to pages."""
    for path, page in BESIDE.items():
        source[0] = source[0].replace(path, page)


def setup(app):
    """Register what is done to the texts."""
    app.connect("autodoc-process-docstring", describe, priority=100)  # before numpydoc
    app.connect("autodoc-process-docstring", keep_bars)
    app.connect("source-read", link_pages)
