"""Keeps a FigureWidget as wide as the page, which plotly does not do by itself since version 6."""

from __future__ import annotations

import anywidget
import ipywidgets as ipw
import plotly.graph_objects as go

# A FigureWidget is drawn before it has a place in the page, 700 pixels wide, and then listens to
# the window alone (plotly.py issue 5208). This element watches its own width instead.
_ESM = """
function tell() { window.dispatchEvent(new Event("resize")); }
function render({ el }) {
  const width = new ResizeObserver(tell);
  width.observe(el);
  document.addEventListener("plotlywidget-after-render", tell);
  return () => {
    width.disconnect();
    document.removeEventListener("plotlywidget-after-render", tell);
  };
}
export default { render };
"""


class _Ruler(anywidget.AnyWidget):
    """An element without height whose width plots beside it follow."""

    _esm = _ESM


def fill_width(view: go.FigureWidget) -> ipw.Widget:
    """Make `view` follow the width of the page; returns what must be displayed beside it."""
    # Documented by plotly as the way to set a FigureWidget's config, whatever its name.
    view._config = view._config | {"responsive": True}
    return _Ruler(layout=ipw.Layout(width="100%", height="0px", margin="0"))
