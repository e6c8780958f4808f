"""An executed notebook as one HTML page that needs no kernel, no network and no other file."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Mapping, Sequence
from html import escape as html_escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from vcviz import __version__
from vcviz.base.replacing import replacing
from vcviz.headless.access import ASSETS
from vcviz.headless.files import notebook_title
from vcviz.headless.mathml import to_mathml
from vcviz.headless.outputs import FIGURE
from vcviz.headless.parts import figure_box, page_scripts, page_style

if TYPE_CHECKING:
    from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"

# A progress bar's time, as in "3/18 [00:09<00:45, 3.0s/run]".
_BAR = re.compile(r"\[\d+:\d+[<,]")
_SCRIPTS = "<!--vcviz scripts-->"
# A check or a prediction of the course.
_ASKS = re.compile(r"""<(form|div) class=["'](check|predict)["']""")
#: a link to this and the name of a layer, or the number of a panel, lights it up in a figure
LIGHT = "#light:"
#: papermill's tag of the cell with the parameters of a run
INJECTED = "injected-parameters"
#: what the template of the page has a form for
_DRAWN = {"text/html", "text/markdown", "text/latex", "text/plain",
          "image/svg+xml", "image/png", "image/jpeg"}  # fmt: skip
#: characters of what a cell printed that a page holds; the notebook has them all
LONGEST_TEXT = 100_000


def write_page(
    nb: NotebookNode, path: str | os.PathLike[str], *, name: str = "", failure: str | None = None
) -> Path:
    """Write an executed notebook as a self-contained HTML page and return its path.

    Parameters
    ----------
    nb : executed notebook; its figures are outputs of type ``application/vnd.plotly.v1+json``
    path : file to write; an existing one is replaced at once or not at all
    name : title if the notebook has no heading
    failure : one line at the top of the page, for a run that stopped early
    """
    path = Path(path)
    with replacing(path) as temporary:
        temporary.write_text(render_page(nb, name=name, failure=failure), encoding="utf-8")
    return path


def render_page(nb: NotebookNode, *, name: str = "", failure: str | None = None) -> str:
    """Return the HTML of `write_page`."""
    nb = copy.deepcopy(nb)
    nb.metadata.pop("widgets", None)
    figures: list[Mapping[str, Any]] = []
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in _joined(cell.outputs) if _prepare(o, figures)]
    nb.cells = _results_first(nb.cells)
    exporter = _Exporter(
        template_file=str(ASSETS / "page.html.j2"),
        embed_images=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    page = {
        "title": notebook_title(nb, name or "notebook"),
        "version": __version__,
        "style": page_style(),
        "failure": failure,
        "has_code": any(c.cell_type == "code" and c.source.strip() for c in nb.cells),
        "has_figures": bool(figures),
        "footer": f"{name or 'notebook'} · made with vcviz {__version__}",
        "scripts": _SCRIPTS,
    }
    html, _ = exporter.from_notebook_node(nb, resources={"page": page})
    # Scripts are put in last: they are large, and HTML filters must not touch them.
    before, after = html.rsplit(_SCRIPTS, 1)
    asks = _ASKS.search(before) is not None
    return before + page_scripts(figures, course=asks) + after


class _Renderer(IPythonRenderer):
    """Markdown with formulas as MathML."""

    def block_math(self, body: str) -> str:
        return to_mathml(body, block=True)

    def inline_math(self, body: str) -> str:
        return to_mathml(body)

    def block_text(self, text: str) -> str:
        """Return the words of a list's item in a box of their own.

        A box with a formula scrolls (page.css), and one that scrolls cuts its bullet off.
        """
        return f"<div>{text}</div>"

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Return a link; one to a notebook beside this one leads to the page beside this page.

        One to ``#light:<what>`` lights that up in the next figure, see page.js.
        """
        if url.startswith(LIGHT):
            wanted = html_escape(url.removeprefix(LIGHT))
            return f'<a class="phrase" href="#figure" data-light="{wanted}">{text}</a>'
        name, hash_, place = url.partition("#")
        if name.endswith(".ipynb") and not re.match(r"\w+:|/", name):
            url = name.removesuffix(".ipynb") + ".html" + hash_ + place
        return super().link(text, url, title)

    def latex_environment(self, name: str, body: str) -> str:
        return to_mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)


class _Exporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        cell = context.get("cell", {})
        renderer = _Renderer(
            escape=False,
            attachments=cell.get("attachments", {}),
            embed_images=self.embed_images,
            path=context.get("resources", {}).get("metadata", {}).get("path", ""),
            anchor_link_text="#",
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def _prepare(output: NotebookNode, figures: list[Mapping[str, Any]]) -> bool:
    """Turn an output into what a page without kernel can show; return whether anything is left."""
    data = output.get("data")
    if data is None:
        if len(output.get("text", "")) > LONGEST_TEXT:
            output["text"] = _shortened(output["text"])
        return True
    if FIGURE in data:
        figure = data[FIGURE]
        output["data"] = {"text/html": figure_box(figure, len(figures))}
        figures.append(figure)
        return True
    data.pop("application/javascript", None)
    if WIDGET in data and not {"text/html", "image/png", "image/svg+xml"} & data.keys():
        output["data"] = {
            "text/html": '<p class="widget-note">An interactive widget was here; '
            "open the notebook in JupyterLab to use it.</p>"
        }
        return not _BAR.search(data.get("text/plain", ""))
    data.pop(WIDGET, None)
    if "text/latex" in data and "text/html" not in data:
        output["data"] = {"text/markdown": data["text/latex"]}
    elif not data.keys() & _DRAWN and any(kind.endswith("json") for kind in data):
        kind = next(kind for kind in data if kind.endswith("json"))
        text = json.dumps(data[kind], indent=1, ensure_ascii=False)
        output["data"] = {"text/plain": _shortened(text) if len(text) > LONGEST_TEXT else text}
    return bool(output["data"].keys() & _DRAWN)


def _results_first(cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Return cells so that what code shows stands above it.

    Code without a result of its own goes with that of the next result, so that a page that opens
    with imports and parameters begins with what they are for.
    """
    found: list[NotebookNode] = []
    waiting: list[NotebookNode] = []
    for cell in cells:
        if cell.cell_type != "code":
            found += [*_together(waiting), cell]
            waiting = []
            continue
        waiting.append(cell)
        if cell.outputs:
            shown = copy.deepcopy(cell)
            shown.source, shown.id, cell.outputs = "", f"{cell.id}-shown", []
            found += [shown, *_together(waiting)]
            waiting = []
    return found + _together(waiting)


def _together(cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Return cells of code as one, and beside it those of the parameters that a run was given."""
    given = [c for c in cells if INJECTED in c.metadata.get("tags", [])]
    own = [c for c in cells if c not in given and c.source.strip()]
    if own:
        own[-1].source = "\n\n".join(c.source.strip() for c in own)
    return [*own[-1:], *given]


def _joined(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Return outputs with what was printed in one piece, however often it was flushed."""
    found: list[NotebookNode] = []
    for output in outputs:
        before = found[-1] if found else {}
        if output.output_type == "stream" and output.name == before.get("name"):
            before["text"] += output.text
        else:
            found.append(output)
    return found


def _shortened(text: str) -> str:
    """Return the beginning and the end of a long text."""
    half = LONGEST_TEXT // 2
    first, last = text[:half].rpartition("\n"), text[-half:].partition("\n")
    kept = (first[0] or first[2], last[2] or last[0])
    n = len(text) - sum(map(len, kept))
    return f"{kept[0]}\n… {n:,} characters are left out here, the notebook has them …\n{kept[1]}"
