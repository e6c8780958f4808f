"""What pages of reports share: their template, their figures, and tables as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from vcviz import __version__
from vcviz.headless.parts import page_scripts, page_style

_ASSETS = Path(str(resources.files("vcviz.studies.reports") / "assets"))


class Figures(list[Mapping[str, Any]]):
    """The figures of a page, as JSON."""

    def place(self, figure: Mapping[str, Any] | Any, caption: str = "") -> dict[str, Any]:
        """Add a figure of plotly, or its JSON, and return where it stands."""
        plain = figure if isinstance(figure, Mapping) else json.loads(figure.to_json())
        self.append(plain)
        height = plain.get("layout", {}).get("height", 450)
        return {"number": len(self) - 1, "height": height, "caption": caption}


def rendered(template: str, figures: Figures, *scripts: str, **values: Any) -> str:
    """Return a page that needs no kernel, no network and no other file.

    Parameters
    ----------
    template : its name in ``assets``
    figures : those of the page
    scripts : names of more scripts in ``assets``
    values : of the template
    """
    environment = Environment(loader=FileSystemLoader(_ASSETS), autoescape=True)
    more = "".join(f"\n<script>\n{_asset(name)}</script>" for name in scripts)
    return environment.get_template(template).render(
        version=__version__,
        style=page_style() + _asset("report.css"),
        scripts=page_scripts(figures) + more,
        **values,
    )


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that Markdown shows as they are."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
