"""Sphinx directive ``drawn``: Python code, and beneath it the figure or table that it makes.

The code of a page runs from top to bottom in one namespace when the page is built, so an example
that no longer works fails the build. Formulas become MathML: pages need no network.
"""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from docutils import nodes
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from vcviz.headless.mathml import to_mathml

SCRIPT = "plotly.js"


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Run the block in a folder, where trained runs stay for the next build."""
    before = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(code: str, names: dict[str, Any]) -> Any:
    """Return the value of the last expression of `code`, run in the namespace `names`."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<docs>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<docs>", "eval"), names) if last else None


def raw(content: str, kind: str) -> nodes.raw:
    """Return HTML as it is, in a box of that class."""
    return nodes.raw("", f'<div class="{kind}">{content}</div>', format="html")


class Drawn(SphinxDirective):
    """Code that ends in a figure or a table; the argument says in words what it shows."""

    has_content = True
    final_argument_whitespace = True
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the code and what it makes."""
        code = "\n".join(self.content)
        first = "drawn" not in self.env.temp_data
        names = self.env.temp_data.setdefault("drawn", {})
        with working_in(Path(self.env.doctreedir) / "drawn"):
            value = run(code, names)
        shown: list[nodes.Node] = [nodes.literal_block(code, code, language="python")]
        if first:  # the script weighs some megabytes: on pages with figures only, and once
            up = "../" * self.env.docname.count("/")
            script = f'<script src="{up}_static/{SCRIPT}"></script>'
            shown.append(nodes.raw("", script, format="html"))
        if isinstance(value, Figure):
            shown.append(raw(value.to_html(full_html=False, include_plotlyjs=False), "drawn"))
        elif isinstance(value, pd.DataFrame):
            with pd.option_context("display.max_colwidth", None):  # else texts are cut
                table = value.to_html(border=0, classes="docutils", float_format="{:.3g}".format)
            shown.append(raw(table, "table-wrapper"))
        if self.arguments:
            caption = nodes.caption("", *self.state.inline_text(self.arguments[0], self.lineno)[0])
            shown.append(nodes.container("", caption, classes=["drawn-caption"]))
        return shown


def write_script(app: Sphinx, failure: Exception | None) -> None:
    """Put the plotly.js that plotly brings beside the pages."""
    if failure is None and app.builder.format == "html":
        (Path(app.outdir) / "_static" / SCRIPT).write_text(get_plotlyjs(), encoding="utf-8")


def inline_math(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within text."""
    writer.body.append(to_mathml(node.astext()))
    raise nodes.SkipNode


def display_math(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on its own line."""
    writer.body.append(to_mathml(node.astext(), block=True))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what the pages need."""
    app.add_directive("drawn", Drawn)
    app.add_html_math_renderer("mathml", (inline_math, None), (display_math, None))
    app.connect("build-finished", write_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
