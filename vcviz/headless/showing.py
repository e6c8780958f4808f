"""IPython extension of the kernels of unattended runs: plotly's figures as what is saved of them.

Plotly's own way, `plotly.io.show`, comes to the same output, but imports nbformat in the kernel,
whose checks of addresses compile a grammar: a second of the processor for every notebook.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from vcviz.headless.notebooks import RENDERER
from vcviz.headless.outputs import FIGURE

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from plotly.basedatatypes import BaseFigure


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Show figures, and figure widgets, which have no kernel to live on, as static figures."""
    assert shell.display_formatter is not None  # a kernel has one
    formatter = shell.display_formatter.ipython_display_formatter
    formatter.for_type_by_name("plotly.basedatatypes", "BaseFigure", _show)


def _show(figure: BaseFigure) -> None:
    from IPython.display import display

    looked_at = sys.modules.get("plotly.io._renderers")
    if looked_at is not None and looked_at.renderers.default != RENDERER:
        figure._ipython_display_()  # as the notebook has chosen
    else:
        display({FIGURE: json.loads(figure.to_json())}, raw=True)
