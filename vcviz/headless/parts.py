"""Style and scripts of our pages, which need no other file."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from vcviz.headless.access import access_script, access_style, asset
from vcviz.headless.moving import with_moves
from vcviz.headless.stills import HEIGHT, still


def figure_box(figure: Mapping[str, Any], number: int) -> str:
    """Return the element that a figure is drawn into, with a still of it until then."""
    height = figure.get("layout", {}).get("height", HEIGHT)
    return (
        f'<div class="figure" data-figure="{number}" style="height:{height}px">'
        f"{still(figure, number) or ''}</div>"
    )


def page_scripts(figures: Sequence[Mapping[str, Any]], *, course: bool = False) -> str:
    """Return the scripts that draw figures into ``<div data-figure="0">``, ``1``, … of a page.

    plotly.js and the figures are packed with gzip, which takes a page of 8 MB to 3, and are
    unpacked by the browser when they are needed. A page of the course asks, which takes a script.
    """
    page_script = f"<script>\n{asset('page.js')}</script>"
    if course:
        page_script += f"\n<script>\n{asset('page_course.js')}</script>"
    if not figures:
        return page_script
    parts = [_packed(f"figure-{i}", figure_json(figure)) for i, figure in enumerate(figures)]
    drawing = f"<script>\n{drawing_scripts()}</script>"
    return "\n".join([drawing, *parts, packed_plotly(), page_script])


def drawing_scripts() -> str:
    """Return JavaScript that draws the figures of a page when they come near its window.

    What stands behind it tells it by ``drawNear`` how the numbers of a figure are loaded.
    """
    names = ("page_fit.js", "page_ink.js", "page_points.js", "page_state.js", "page_draw.js")
    return access_script() + "".join(map(asset, names))


def drawing_style() -> str:
    """Return the style sheet that goes with `drawing_scripts`."""
    return access_style() + asset("page_points.css")


@cache
def packed_plotly() -> str:
    """Return plotly.js as an element that the page's script unpacks."""
    from plotly.offline import get_plotlyjs

    return _packed("plotly", get_plotlyjs())


def _packed(name: str, text: str) -> str:
    content = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f'<script type="text/plain" id="{name}">{content}</script>'


def figure_json(figure: Mapping[str, Any]) -> str:
    """Return what page_draw.js draws: what Plotly.newPlot takes, and what moves."""
    config = {
        **figure.get("config", {}),
        "responsive": True,
        "displaylogo": False,
        # Nothing here offers to upload a chart.
        "showSendToCloud": False,
    }
    config.pop("plotlyServerURL", None)
    spec = {
        "data": figure.get("data", []),
        "layout": figure.get("layout", {}),
        "frames": figure.get("frames", []),
        "config": config,
    }
    return json.dumps(with_moves(spec), separators=(",", ":"))


def page_style() -> str:
    """Return the style sheet of our pages."""
    from pygments.formatters import HtmlFormatter

    light, dark = (
        HtmlFormatter(style=style).get_token_style_defs(".highlight")
        for style in ("default", "github-dark")
    )
    dark_only = ["@media (prefers-color-scheme: dark) {", *dark, "}"]
    return "\n".join([*light, *dark_only, asset("page.css"), drawing_style()])
