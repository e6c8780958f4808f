"""Sphinx directive ``drawn``: Python code, and beneath it the figure or table that it makes.

The code of a page runs from top to bottom in one namespace when the page is built, so an example
that no longer works fails the build. Formulas become MathML: pages need no network.

A page shows a still of each figure. Its numbers are in a file of their own, which is loaded when
the reader comes near, and plotly.js with the first of them (`_static/lazy_figures.js`). The stills
of the gallery are also on the reference pages of the functions that drew them.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from docutils import nodes
from nbformat.v4 import new_code_cell, new_notebook, new_output
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from vcviz.headless.mathml import to_mathml
from vcviz.headless.outputs import FIGURE
from vcviz.headless.parts import drawing_scripts, drawing_style, figure_json
from vcviz.headless.slim import slim_figures
from vcviz.headless.stills import HEIGHT, still

HERE = Path(__file__).parent
#: the page whose figures stand on the pages of the reference too, and the folder of those
GALLERY, REFERENCE = "gallery", "reference/generated/"
#: of the words in a still: an image cannot know whether its page is light or dark
INK = "#757c84"


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


def sooner(code: str) -> ast.Module:
    """Return code that trains for at most DRAWN_EPOCHS epochs, if the environment has that.

    Whether all pages can be built is seen in a minute; pages for readers are built without it.
    """
    tree, most = ast.parse(code), int(os.environ.get("DRAWN_EPOCHS", 0))
    for node in ast.walk(tree) if most else ():
        pairs: list[tuple[Any, ast.expr]] = []
        if isinstance(node, ast.keyword):
            pairs = [(node.arg, node.value)]
        elif isinstance(node, ast.Dict):
            names = [getattr(key, "value", None) for key in node.keys]
            pairs = list(zip(names, node.values, strict=True))
        for name, value in pairs:
            if name == "epochs" and isinstance(value, ast.Constant):
                value.value = min(value.value, most)
    return tree


def run(code: str, names: dict[str, Any]) -> Any:
    """Return the value of the last expression of `code`, run in the namespace `names`."""
    body = sooner(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<docs>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<docs>", "eval"), names) if last else None


def drawer(code: str) -> str:
    """Return the full name of what draws the last figure of `code`, "" if it is not ours."""
    found = ast.parse(code).body[-1]
    names = [ast.unparse(n.func) for n in ast.walk(found) if isinstance(n, ast.Call)]
    return next((n for n in names if n.startswith("vcviz.") and "(" not in n), "")


def raw(content: str, kind: str) -> nodes.raw:
    """Return HTML as it is, in a box of that class."""
    return nodes.raw("", f'<div class="{kind}">{content}</div>', format="html")


def slim(figure: Figure) -> dict[str, Any]:
    """Return the JSON of a figure in as few bytes as show the same."""
    output = new_output("display_data", {FIGURE: json.loads(figure.to_json())})
    slim_figures(new_notebook(cells=[new_code_cell(outputs=[output])]))
    return output.data[FIGURE]


class Drawn(SphinxDirective):
    """Code that ends in a figure or a table; the argument says in words what it shows."""

    has_content = True
    final_argument_whitespace = True
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the code and what it makes."""
        code = "\n".join(self.content)
        names = self.env.temp_data.setdefault("drawn", {})
        with working_in(Path(self.env.doctreedir) / "drawn"):
            value = run(code, names)
        shown: list[nodes.Node] = [nodes.literal_block(code, code, language="python")]
        if isinstance(value, Figure):
            said = self.arguments[0] if self.arguments else "figure"
            shown += self.figure(value, drawer(code), escape(said, quote=True))
        elif isinstance(value, pd.DataFrame):
            with pd.option_context("display.max_colwidth", None):  # else texts are cut
                table = value.to_html(border=0, classes="docutils", float_format="{:.3g}".format)
            shown.append(raw(table, "table-wrapper"))
        if self.arguments:
            caption = nodes.caption("", *self.state.inline_text(self.arguments[0], self.lineno)[0])
            shown.append(nodes.container("", caption, classes=["drawn-caption"]))
        return shown

    def figure(self, figure: Figure, drawn_by: str, said: str) -> list[nodes.Node]:
        """Return a figure's box; write its still, and its numbers for the script that draws it."""
        count = self.env.temp_data.get("figures", 0)
        self.env.temp_data["figures"] = count + 1
        name = f"{self.env.docname.replace('/', '-')}-{count}"
        spec = slim(figure)
        folder = files_of(self.env)
        folder.mkdir(exist_ok=True)
        text = f"drawnFigure({json.dumps(name)}, {figure_json(spec)});"
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
        picture = ""
        if drawing := still(spec):
            (folder / f"{name}.svg").write_text(by_itself(drawing), encoding="utf-8")
            picture = f'<img class="still" loading="lazy" src="{name}.svg" alt="{said}">'
        if self.env.docname == GALLERY and drawn_by:
            pictures(self.env).setdefault(drawn_by, (name, picture))
        static = "../" * self.env.docname.count("/") + "_static/"
        height = spec["layout"].get("height", HEIGHT)
        parts = [
            f'<div class="figure" id="{name}" data-figure="{name}" style="height:{height}px">'
            f"{within(static, picture)}</div>"
        ]
        if not count:
            parts = [
                f'<link rel="stylesheet" href="{static}lazy_figures.css">',
                f'<script defer src="{static}lazy_figures.js"></script>',
                *parts,
            ]
        return [nodes.raw("", part, format="html") for part in parts]


def within(static: str, picture: str) -> str:
    """Return the element of a still as a page has it, from which that is the way to the files."""
    return picture.replace('src="', f'src="{static}figures/')


def by_itself(drawing: str) -> str:
    """Return a still as a file of its own, without the style of a page."""
    style = (
        f"svg{{color:{INK}}}text{{fill:currentColor;font-family:system-ui,sans-serif}}"
        ".still-axis{fill:none;stroke:currentColor;stroke-opacity:.6}"
    )
    head, _, rest = drawing.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>{rest}'


def files_of(env: BuildEnvironment) -> Path:
    """Return the folder of the files that draw figures, kept for the next build."""
    return Path(env.doctreedir) / "figures"


def pictures(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Return function -> place in the gallery, and the still there, of what it drew."""
    if not hasattr(env, "vcviz_pictures"):
        env.vcviz_pictures = {}
    return env.vcviz_pictures


def forget_pictures(_app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Draw the gallery anew without what it drew before."""
    if docname == GALLERY:
        pictures(env).clear()


def merge_pictures(
    _app: Sphinx, env: BuildEnvironment, _docnames: object, other: BuildEnvironment
) -> None:
    """Take what another process of this build has drawn."""
    pictures(env).update(pictures(other))


def add_picture(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the gallery's picture beneath the first paragraph of a function's page."""
    name = docname.removeprefix(REFERENCE)
    if docname == name or name not in pictures(app.env):
        return
    place, picture = pictures(app.env)[name]
    to = f"{app.builder.get_relative_uri(docname, GALLERY)}#{place}"
    shown = within("../../_static/", picture) or "See it in the gallery."
    link = f'<a class="drawn-picture" href="{to}" title="in the gallery it is alive">{shown}</a>'
    content = next(doctree.findall(addnodes.desc_content))
    content.insert(1, nodes.raw("", link, format="html"))


def write_files(app: Sphinx, failure: Exception | None) -> None:
    """Put beside the pages what draws their figures: plotly.js, our scripts, the numbers."""
    if failure is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    (static / "plotly.js").write_text(get_plotlyjs(), encoding="utf-8")
    ours = (HERE / "_static" / "lazy_figures.js").read_text(encoding="utf-8")
    (static / "lazy_figures.js").write_text(drawing_scripts() + ours, encoding="utf-8")
    (static / "lazy_figures.css").write_text(drawing_style(), encoding="utf-8")
    if files_of(app.env).is_dir():
        shutil.copytree(files_of(app.env), static / "figures", dirs_exist_ok=True)


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
    app.connect("env-purge-doc", forget_pictures)
    app.connect("env-merge-info", merge_pictures)
    app.connect("doctree-resolved", add_picture)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
