"""Script and style that open plotly's figures to the keyboard and to screen readers."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


def access_script() -> str:
    """Return JavaScript that defines three functions for a figure that plotly.js has drawn.

    ``makeAccessible(gd, label, otherwise)`` names the figure and lets keys work its sliders,
    buttons, lists and legend; ``dataTable(gd)`` returns an element with the data that the figure
    shows at the moment; ``keepKeys(box)`` lets the controls in `box` have their keys before
    JupyterLab takes them. It needs no module and no other script, so that a page and a widget can
    both take it in as text.
    """
    return "".join(map(asset, ("figure_parts.js", "figure_access.js", "figure_table.js")))


def access_style() -> str:
    """Return the style sheet that goes with `access_script`."""
    return asset("figure_access.css")


def asset(name: str) -> str:
    """Return the text of a script or style sheet."""
    return (ASSETS / name).read_text(encoding="utf-8")
