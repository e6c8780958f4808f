"""Script and style that open plotly's figures to the keyboard and to screen readers."""

from __future__ import annotations

from functools import cache
from importlib import resources

_ASSETS = resources.files("vcviz.headless") / "assets"


@cache
def access_script() -> str:
    """Return JavaScript that defines three functions for a figure that plotly.js has drawn.

    ``makeAccessible(gd, label, otherwise)`` names the figure and lets keys work its sliders,
    buttons, lists and legend; ``dataTable(gd)`` returns an element with the data that the figure
    shows at the moment; ``keepKeys(box)`` lets the controls in `box` have their keys before
    JupyterLab takes them. It needs no module and no other script, so that a page and a widget can
    both take it in as text.
    """
    return "".join(map(_read, ("figure_parts.js", "figure_access.js", "figure_table.js")))


@cache
def access_style() -> str:
    """Return the style sheet that goes with `access_script`."""
    return _read("figure_access.css")


def _read(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
