"""What a person points at, clicks and lassoes in a LatentExplorer, and what is told of it."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw
import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import button, prose
from vcviz.explorers.latent_controls import LatentValues
from vcviz.explorers.latent_scene import LatentScene
from vcviz.explorers.panel_data import Source
from vcviz.explorers.plot import Plot
from vcviz.explorers.samples import Sample, Samples
from vcviz.explorers.selection import Selection
from vcviz.figures import theme as style
from vcviz.figures.inspection import headline, inspection_spec
from vcviz.figures.latent_panel import View
from vcviz.metrics.inspection import (
    find_rows,
    inspect_row,
    places_of,
    selection_summary,
    selection_table,
)
from vcviz.records import Inspection, LatentSet, SelectionSummary

if TYPE_CHECKING:
    import pandas as pd

_FEW = 20  # rows that "most surely wrong", "least sure" and "least likely" choose
_NEIGHBOURS = 6
_SHOWN = 12  # pictures of what is chosen
_HINT = (
    "Point at a latent to see it, click it to keep it here; lasso some (or choose them from the "
    "list) to see how right and how sure they are, in every panel. Shift adds to a lasso, Alt "
    "takes away."
)


class Picks:
    """Pointing, clicking, lassoing and zooming in a LatentExplorer's figure.

    Parameters
    ----------
    bound : the figure with its controls
    scene : what the figure shows
    chosen : returns the rows that are chosen now, which explorers may share

    Attributes
    ----------
    widget : what was clicked, and what is told of the chosen rows
    """

    def __init__(self, bound: Bound, scene: LatentScene, chosen: Callable[[], Selection]) -> None:
        self._bound, self._scene, self._chosen = bound, scene, chosen
        self._bars: Plot | None = None
        self._table = ipw.HTML(_note(_HINT))
        self._picture = ipw.HTML()
        self._close = button("Close", "times", "put the kept latent away", self.unpin)
        self._pin = ipw.VBox(layout=ipw.Layout(display="none", flex="1 1 230px", min_width="0"))
        as_what = "the chosen rows, one line for each in each run shown, as"
        savers = [
            button(f"Save {kind}", "download", f"{as_what} {kind}", partial(self.download, kind))
            for kind in ("CSV", "Parquet")
        ]
        self._save = ipw.HBox(savers, layout=ipw.Layout(display="none"))
        words = ipw.VBox(
            [self._table, self._save], layout=ipw.Layout(flex="1 1 570px", min_width="0")
        )
        self.widget = ipw.Box(
            [words, self._pin], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 14px")
        )
        self._following = False
        bound.on("hover", self._hovered)
        bound.on("click", self._clicked)
        bound.on("select", self._lassoed)
        bound.on("viewport", self._zoomed)
        bound.on("resize", self._resized)
        bound.controls["choose"].observe(self._listed, names="value")
        bound.controls["find"].observe(self._search, names="value")

    @property
    def shown(self) -> LatentValues:
        """What the figure shows."""
        return LatentValues(**self._bound.values)

    @property
    def views(self) -> list[View]:
        """What its panels show, from the left."""
        return self._scene.views(self.shown)

    def _zoomed(self, event: dict[str, Any]) -> None:
        number = self._panel_at(event["axes"][0])
        if number is None:
            return
        (x0, x1), (y0, y1) = event["range"]
        window = ((float(x0), float(x1)), (float(y0), float(y1)))
        windows = dict(self.shown.windows) | {number: window}
        self._bound.set_state(windows=tuple(sorted(windows.items())))

    def _resized(self, event: dict[str, Any]) -> None:
        # In steps: a page that is made narrower by hand is not laid out at every pixel.
        self._bound.fit_page(width=max(int(event["width"]) // 40 * 40, 320))

    # ---------------------------------------------------------- one latent

    def _hovered(self, event: dict[str, Any]) -> None:
        found = self._at(event)
        if found is None:
            return
        number, place = found
        source, view = self._panels()[number]
        lat, row = view.lat, int(view.lat.index[place])
        sample = source.samples(self.shown.split, row)
        predicted = int(lat.log_probs[place].argmax())
        lines = [
            f"row {row}, {lat.class_names[lat.y[place]]}",
            f"predicted {lat.class_names[predicted]}, "
            f"p = {np.exp(float(lat.log_probs[place, predicted])):.3f}",
            *(line[:160] for line in lat.details(place)),
        ]
        text = sample.text[:160] if sample else ""
        self._bound.view.tip(
            image=sample.image if sample else None, text="\n".join([*lines, text]).strip()
        )

    def _clicked(self, event: dict[str, Any]) -> None:
        found = self._at(event)
        if found is not None:
            number, place = found
            self.pin(number, int(self.views[number].lat.index[place]))

    def pin(self, number: int, row: int) -> None:
        """Keep a row of the shown run `number` beneath the figure.

        Raises
        ------
        InputError
            If the run has no latent of this row.
        """
        source, view = self._panels()[number]
        one = inspect_row(view.lat, view.prior, row, neighbours=_NEIGHBOURS)
        spec = style.themed(inspection_spec(one), self._scene.theme)
        # Its headline stands beside the picture.
        spec["layout"] |= {"annotations": [], "margin": spec["layout"]["margin"] | {"t": 8}}
        spec["layout"]["height"] -= 46
        if self._bars is None:
            self._bars = Plot(spec["data"], spec["layout"], label="the kept latent")
        else:
            self._bars.show(spec["data"], spec["layout"])
        self._picture.value = _described(source, self.shown.split, view.lat, one)
        self._pin.children = (self._picture, self._bars, self._close)
        self._pin.layout.display = None
        self._bound.set_state(pinned=row)

    def unpin(self) -> None:
        """Put the kept row away."""
        self._pin.layout.display = "none"
        self._bound.set_state(pinned=-1)

    # ---------------------------------------------------------- several

    def _lassoed(self, event: dict[str, Any]) -> None:
        if event["polygon"] is None:
            self._chosen().clear()
            return
        number = self._panel_at(event["axes"][0])
        if number is None:
            return
        view = self.views[number]
        inside = within(view.points, event["polygon"]) & np.isin(view.lat.y, view.shown)
        self._choose(number, view.lat.index[inside], "lasso", event.get("combine"))

    def _listed(self, change: Any) -> None:
        """Choose the rows that the list names, of the first run shown."""
        if not self._following and change["new"] not in ("lasso", "found"):
            self._choose(0, named_rows(self.views[0], change["new"]), change["new"])

    def _search(self, change: Any) -> None:
        """Choose the rows that a person asks for in words, in the first run shown."""
        if not change["new"].strip():
            return
        source, view = self._panels()[0]
        split = source.samples.split(self.shown.split)
        texts = None
        if split is not None and split.texts is not None:
            texts = [split.texts[row] for row in view.lat.index]
        try:
            rows = find_rows(view.lat, view.prior, change["new"], texts=texts)
        except InputError as error:
            self._bound.say(str(error))
            return
        self._bound.say("")
        self._choose(0, rows, "found")

    def _choose(
        self, number: int, rows: NDArray[np.int64], how: str, combine: str | None = None
    ) -> None:
        shown = self.shown
        self._say_how(how)
        source, _ = self._panels()[number]
        self._chosen().choose(
            rows, split=shown.split, source=source.title, combine=combine or shown.combine
        )

    def _say_how(self, how: str) -> None:
        """Let the list say how rows were chosen, without choosing them again."""
        self._following = True
        self._bound.controls["choose"].value = how
        self._following = False

    def show_chosen(self) -> None:
        """Tell how right, how sure and how likely the chosen rows are, in every run shown."""
        chosen, split = self._chosen(), self.shown.split
        self._save.layout.display = None if len(chosen) else "none"
        if not len(chosen):
            self._say_how("none")
            self._table.value = _note(_HINT)
            return
        if chosen.split != split:
            note = (
                f"{len(chosen):,} rows of the {chosen.split} split are chosen, which is not shown"
            )
            self._table.value = _note(note)
            return
        panels = self._panels()
        lines = [
            _row_html(
                source.title, selection_summary(view.lat, view.prior, here(view.lat, chosen.rows))
            )
            for source, view in panels
        ]
        pictures = _pictures(panels[0][0].samples, split, chosen.rows)
        self._table.value = _TABLE.format(rows="".join(lines)) + pictures

    def download(self, kind: str) -> None:
        """Let the page save the chosen rows, as "CSV" or "Parquet"."""
        table, name = self.table(), f"chosen_{self.shown.split}.{kind.lower()}"
        if kind == "CSV":
            self._bound.view.download(name, table.to_csv(index=False).encode(), "text/csv")
        else:
            self._bound.view.download(name, table.to_parquet(index=False))

    def table(self) -> pd.DataFrame:
        """Return the chosen rows in each run shown."""
        import pandas as pd

        chosen = self._chosen()
        rows = chosen.rows if chosen.split == self.shown.split else np.empty(0, np.int64)
        parts = []
        for source, view in self._panels():
            table = selection_table(view.lat, view.prior, here(view.lat, rows))
            table.insert(0, "run", source.title)
            parts.append(table)
        return pd.concat(parts, ignore_index=True)

    # ---------------------------------------------------------- panels

    def _panels(self) -> list[tuple[Source, View]]:
        """Return the runs that are shown with what their panels show, from the left."""
        shown = self.shown
        sources = [self._scene.sources[k] for k in shown.runs]
        return list(zip(sources, self._scene.views(shown), strict=True))

    def _panel_at(self, axis: str) -> int | None:
        """Return the number of the panel with this x axis ("x", "x2", …); None for the fits."""
        panels: list[str] = self._bound.view.layout.meta["panels"]
        return panels.index(axis) if axis in panels else None

    def _at(self, event: dict[str, Any]) -> tuple[int, int] | None:
        """Return the number of the panel, and the place in its latents, of what is pointed at."""
        meta, point = event["meta"], event.get("point")
        if meta.get("layer") != "points" or not isinstance(point, int):
            return None
        number = self._panel_at(event["axes"][0])
        if number is None:
            return None
        mine = self.views[number].of_class(meta["class"])
        return (number, int(mine[point])) if point < len(mine) else None


def named_rows(view: View, name: str) -> NDArray[np.int64]:
    """Return the rows (`LatentSet.index`) of a choice from the list, of the classes shown."""
    lat = view.lat
    places = np.flatnonzero(np.isin(lat.y, view.shown))
    own = lat.log_probs[places]
    if name == "wrong":
        places = places[own.argmax(1) != lat.y[places]]
    elif name == "sure":
        wrong = own.argmax(1) != lat.y[places]
        surest = np.argsort(-own[wrong].max(1), kind="stable")[:_FEW]
        places = places[wrong][surest]
    elif name == "unsure":
        places = places[np.argsort(own.max(1), kind="stable")[:_FEW]]
    elif name == "strange":
        if view.prior is None:
            raise InputError("there is no law p(z|y) to judge the latents by")
        likelihood = view.prior.log_marginal(lat.z[places])
        places = places[np.argsort(likelihood, kind="stable")[:_FEW]]
    else:
        places = places[:0]
    return lat.index[places]


def here(lat: LatentSet, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of the rows that there are latents of."""
    return rows[np.isin(rows, lat.index)]


def within(points: NDArray[np.float64], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (N,) whether each point (N, 2) lies in a polygon (P, 2): crossed oddly often."""
    inside = np.zeros(len(points), bool)
    low, high = polygon.min(0), polygon.max(0)
    near = np.flatnonzero(((points >= low) & (points <= high)).all(1))
    x, y = points[near].T
    odd = np.zeros(len(near), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            odd ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    inside[near] = odd
    return inside


# ---------------------------------------------------------------- HTML

_PIXELS = "style='image-rendering:pixelated;vertical-align:middle;margin:1px'"
_HEAD = "style='padding:0 6px 0 0;text-align:left'"
_CELL = "style='padding:0 6px 0 0;text-align:left;white-space:nowrap'"
_SMALL = "font-size:12px;line-height:1.4"
_NEAR = "margin:0;padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:0 10px"
_HEADS = (
    "run", "chosen", "accuracy", "confidence", "ECE (if calibrated)", "log p(z|y), nats (all)"
)  # fmt: skip
_TABLE = (
    f"<div style='overflow-x:auto'><table style='{_SMALL};font-size:11px'><tr>"
    + "".join(f"<th {_HEAD}>{name}</th>" for name in _HEADS)
    + "</tr>{rows}</table></div>"
)


def _described(source: Source, split: str, lat: LatentSet, one: Inspection) -> str:
    """Return picture, labels and neighbours of a row as HTML."""
    own = _sample_html(source.samples(split, one.row), 64)
    lines = [html.escape(line[:160]) for line in lat.details(int(places_of(lat, [one.row])[0]))]
    near = list(zip(one.neighbours.tolist(), one.distances.tolist(), strict=True))
    lists = [("nearest in latent space", near)]
    if inputs := source.samples.nearest(split, one.row, _NEIGHBOURS):
        lists.append(("nearest in input space", inputs))
    labels = {row: lat.class_names[k] for row, k in zip(lat.index.tolist(), lat.y, strict=True)}
    neighbours = ""
    for name, rows in lists:
        items = []
        for row, distance in rows:
            label = f", {labels[row]}" if row in labels else ""
            line = html.escape(f"row {row}{label}, at {distance:.3g}")
            items.append(f"<li>{_sample_html(source.samples(split, row), 24)} {line}</li>")
        neighbours += f"{name}:<ul style='{_NEAR}'>{''.join(items)}</ul>"
    words = "<br>".join([*headline(one), f"in {html.escape(source.title)}", *lines])
    return (
        f"<div style='{_SMALL}'><div style='display:flex;gap:8px'><div>{own}</div>"
        f"<div>{words}</div></div>{neighbours}</div>"
    )


def _pictures(samples: Samples, split: str, rows: NDArray[np.int64]) -> str:
    """Return the mean picture of the chosen rows and the first of them, if they are any."""
    mean = samples.mean_picture(split, rows)
    if mean is None:
        return ""
    first = [_sample_html(samples(split, int(row)), 32) for row in rows[:_SHOWN]]
    of = f"the first {_SHOWN} of {len(rows):,}" if len(rows) > _SHOWN else "each"
    return (
        f"<div>mean <img src='{mean}' alt='mean picture' {_PIXELS} width=56> "
        f"{of}: {''.join(first)}</div>"
    )


def _row_html(title: str, summary: SelectionSummary) -> str:
    low, high = summary.accuracy_interval
    law = summary.label_note and f" ({summary.label_note})"
    cells = [
        title,
        f"{summary.n:,} of {summary.of:,}",
        f"{summary.accuracy:.3f} [{low:.3f}, {high:.3f}]",
        f"{summary.confidence:.3f}{law}",
        f"{summary.ece:.3f} ({summary.ece_if_calibrated:.3f})",
        f"{summary.log_density:.3g} ± {summary.log_density_error:.2g} "
        f"({summary.log_density_all:.3g})",
    ]
    if np.isnan(summary.log_density):
        cells[-1] = "–"
    return "<tr>" + "".join(f"<td {_CELL}>{html.escape(t)}</td>" for t in cells) + "</tr>"


def _sample_html(sample: Sample | None, width: int) -> str:
    if sample is None:
        return ""
    if sample.image:
        return f"<img src='{sample.image}' alt='' {_PIXELS} width={width}>"
    return html.escape(sample.text[: 5 * width])


def _note(text: str) -> str:
    return prose(f"<span style='opacity:.75'>{html.escape(text)}</span>")
