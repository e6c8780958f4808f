"""Style and scripts of our pages, which need no other file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from vcviz.headless.access import access_script, access_style

ASSETS = Path(str(resources.files("vcviz.headless") / "assets"))


def page_scripts(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return the scripts that draw figures into ``<div data-figure="0">``, ``1``, … of a page."""
    page_script = f"<script>\n{_asset('page.js')}</script>"
    if not figures:
        return page_script
    from plotly.offline import get_plotlyjs

    specs = [
        f'<script type="application/json" id="figure-{i}">{_json(figure)}</script>'
        for i, figure in enumerate(figures)
    ]
    access = f"<script>\n{access_script()}{_asset('page_fit.js')}</script>"
    return "\n".join([*specs, f"<script>{get_plotlyjs()}</script>", access, page_script])


def _json(figure: Mapping[str, Any]) -> str:
    """Return what Plotly.newPlot takes, as JSON that cannot end the script it stands in."""
    config = {
        **figure.get("config", {}),
        "responsive": True,
        "displaylogo": False,
    }
    config.pop("plotlyServerURL", None)
    spec = {
        "data": figure.get("data", []),
        "layout": figure.get("layout", {}),
        "frames": figure.get("frames", []),
        "config": config,
    }
    return json.dumps(spec, separators=(",", ":")).replace("<", "\\u003c")


def page_style() -> str:
    """Return the style sheet of our pages."""
    from pygments.formatters import HtmlFormatter

    light, dark = (
        HtmlFormatter(style=style).get_token_style_defs(".highlight")
        for style in ("default", "github-dark")
    )
    dark_only = ["@media (prefers-color-scheme: dark) {", *dark, "}"]
    return "\n".join([*light, *dark_only, _asset("page.css"), access_style()])


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
