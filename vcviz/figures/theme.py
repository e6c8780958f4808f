"""Colours, markers, line styles and the plotly template: one visual language for every figure.

A class keeps its colour and marker. The anticipated law p(z|y) is drawn solid, the empirical
law q(z|y) dashed. A run keeps its colour, dash and marker where no class is drawn.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import plotly.graph_objects as go

from vcviz.base.errors import unknown
from vcviz.records import LatentSet

Theme = Literal["auto", "light", "dark"]

#: Okabe & Ito (2008) first, with their black replaced by a grey that shows on a dark page and
#: their yellow a little darker, so that its lines show on white; then sixteen more, chosen to be
#: far apart in Lab, also under simulated deuteranopia and protanopia, on white and on black.
CLASS_COLORS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#7F7F7F", "#E0DC00",
    "#6A4BE0", "#B03060", "#AABB66", "#884422", "#99CCAA", "#991188", "#EE0044", "#44CCDD",
    "#557744", "#7788FF", "#DD00BB", "#77CC88", "#5522DD", "#00CCBB", "#77DD55", "#4400FF",
)  # fmt: skip

SYMBOLS = (
    "circle", "square", "diamond", "triangle-up", "cross", "triangle-down",
    "pentagon", "star", "hexagon", "hourglass",
)  # fmt: skip

RUN_COLORS = ("#3B6FB6", "#C4622D", "#3F8F5B", "#8A5FA8", "#A8862B", "#5E7F86")
RUN_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

ANTICIPATED_DASH = "solid"
EMPIRICAL_DASH = "4px,3px"

_INK = {  # text, axis lines, grid, background
    # The one grey of 4.5:1 on white and on black; where a script of ours draws, the page's own ink.
    "auto": ("#757575", "rgba(128,128,128,0.55)", "rgba(128,128,128,0.16)", "rgba(0,0,0,0)"),
    "light": ("#2B2B2B", "#A0A0A0", "#ECECEC", "#FFFFFF"),
    "dark": ("#E4E4E4", "#8A8A8A", "#303030", "#111111"),
}

#: readable on white and on black, for marks that belong to no class
NEUTRAL = "#7A7A7A"

#: a break that a page takes out where it breaks the text anew, for a narrower screen
SOFT_BREAK = "<br />"


def class_color(k: int) -> str:
    """Return the colour of class `k`; colours repeat after 24 classes."""
    return CLASS_COLORS[k % len(CLASS_COLORS)]


def class_symbol(k: int) -> str:
    """Return the marker of class `k`: another one each time the colours repeat."""
    again, place = divmod(k, len(CLASS_COLORS))
    return SYMBOLS[(place + again) % len(SYMBOLS)]


def rgb(color: str) -> list[int]:
    """Return the three bytes of a colour "#RRGGBB"."""
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]


def faint(color: str, opacity: float) -> str:
    """Return a colour "#RRGGBB" as CSS, with an opacity in [0, 1]."""
    red, green, blue = rgb(color)
    return f"rgba({red},{green},{blue},{opacity})"


def run_style(i: int) -> tuple[str, str, str]:
    """Return (colour, dash, marker) of the `i`-th run."""
    return (
        RUN_COLORS[i % len(RUN_COLORS)],
        RUN_DASHES[i % len(RUN_DASHES)],
        SYMBOLS[i % len(SYMBOLS)],
    )


def accuracy_text(lat: LatentSet) -> str:
    """Return the accuracy of latents, and for which label frequencies if not for their own."""
    return ", ".join(filter(None, (f"accuracy {lat.accuracy:.3f}", lat.label_note)))


def escape(text: object, limit: int | None = None) -> str:
    """Return `text` so that plotly shows it as it is: no tags, no TeX, no ``%{...}`` fields.

    Parameters
    ----------
    text : anything with a `str`
    limit : longest result in characters of the original text; the rest becomes "…"
    """
    plain = " ".join(str(text).split())
    if limit is not None and len(plain) > limit:
        plain = plain[: max(limit - 1, 0)].rstrip() + "…"
    plain = html.escape(plain, quote=False)
    return plain.replace("$", "&#36;").replace("%{", "&#37;{")


def ink(theme: Theme = "auto") -> str:
    """Return the text colour of a theme."""
    return _inks(theme)[0]


@cache
def template(theme: Theme = "auto") -> go.layout.Template:
    """Return the plotly template of a theme.

    ``"auto"`` has no background and grey ink that reads on white and on black pages, because a
    figure cannot ask the page for its colours; ``"light"`` and ``"dark"`` bring their own.
    """
    text, line, grid, background = _inks(theme)
    axis = {
        "showgrid": True,
        "gridcolor": grid,
        "zeroline": False,
        "showline": True,
        "linecolor": line,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": line,
        "tickfont": {"size": 11},
        "title": {"font": {"size": 12}, "standoff": 6},
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif", "size": 12.5,
                     "color": text},
            "title": {"font": {"size": 15}, "x": 0.0, "xref": "paper", "xanchor": "left",
                      "y": 1.0, "yanchor": "top", "pad": {"t": 12}},
            "paper_bgcolor": background,
            "plot_bgcolor": background,
            "colorway": list(CLASS_COLORS),
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 62, "r": 20, "t": 64, "b": 54},
            "hoverlabel": {"font": {"size": 12}, "align": "left"},
            "hovermode": "closest",
            "legend": {"font": {"size": 12}, "tracegroupgap": 0,
                       "bgcolor": "rgba(0,0,0,0)"},
            "annotationdefaults": {"font": {"size": 12}, "showarrow": False},
            "sliders": [],
            "updatemenus": [],
        }
    )  # fmt: skip


def apply(fig: go.Figure, theme: Theme = "auto") -> go.Figure:
    """Return `fig` itself with the theme's template."""
    return fig.update_layout(template=template(theme))


def themed(spec: Mapping[str, Any], theme: Theme = "auto") -> dict[str, Any]:
    """Return the plain data and layout of a figure with the theme's template in its layout."""
    return {**spec, "layout": {**spec["layout"], "template": template(theme)}}


def _inks(theme: Theme) -> tuple[str, str, str, str]:
    if theme not in _INK:
        raise unknown("theme", theme, _INK)
    return _INK[theme]
