"""What a person points at, clicks and lassoes in a LatentExplorer, and what is told of it."""

from __future__ import annotations

import html
from functools import cache
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw
import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.explorers.controls import prose
from vcviz.explorers.plot import Plot
from vcviz.explorers.samples import Sample, Samples
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
from vcviz.records import Inspection, LatentPrior, LatentSet, SelectionSummary

if TYPE_CHECKING:
    import pandas as pd

    from vcviz.explorers.latent_explorer import LatentExplorer

_FEW = 20  # rows that "most surely wrong", "least sure" and "least likely" choose
_NEIGHBOURS = 6
_SHOWN = 12  # pictures of what is chosen
_HINT = (
    "Point at a latent to see it, click it to keep it here; lasso some (or choose them from the "
    "list) to see how right and how sure they are, in every panel. Shift adds to a lasso, Alt "
    "takes away."
)


class Picks:
    """Pointing, clicking and lassoing in an explorer's figure.

    Attributes
    ----------
    widget : what was clicked, and what is told of the chosen rows
    """

    def __init__(self, explorer: LatentExplorer) -> None:
        self._explorer = explorer
        self._theme = explorer.theme
        self._samples = cache(lambda i: Samples(explorer.sources[i].run))
        self._bars: Plot | None = None
        self._told = ipw.HTML(_note(_HINT))
        self._picture = ipw.HTML()
        self._close = ipw.Button(
            description="Close",
            icon="times",
            tooltip="put the kept latent away",
            layout=ipw.Layout(width="auto"),
        )
        self._close.on_click(lambda _: self.unpin())
        self._pin = ipw.VBox(layout=ipw.Layout(display="none", flex="1 1 230px", min_width="0"))
        self._save = ipw.HBox(
            [self._saver("CSV"), self._saver("Parquet")], layout=ipw.Layout(display="none")
        )
        chosen = ipw.VBox(
            [self._told, self._save], layout=ipw.Layout(flex="1 1 570px", min_width="0")
        )
        self.widget = ipw.Box(
            [chosen, self._pin], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 14px")
        )
        self._following = False

    def attach(self) -> None:
        """Listen to the figure and to the list of choices."""
        bound = self._explorer.bound
        bound.on("hover", self._hovered)
        bound.on("click", self._clicked)
        bound.on("select", self._lassoed)
        self._explorer.controls["choose"].observe(self._listed, names="value")
        self._explorer.controls["find"].observe(self._asked, names="value")

    # ---------------------------------------------------------- one latent

    def _hovered(self, event: dict[str, Any]) -> None:
        found = self._at(event)
        if found is None:
            return
        number, view, place = found
        sample = self._sample(number, view, place)
        lat = view.lat
        predicted = int(lat.log_probs[place].argmax())
        lines = [
            f"row {lat.index[place]}, {lat.class_names[lat.y[place]]}",
            f"predicted {lat.class_names[predicted]}, "
            f"p = {np.exp(float(lat.log_probs[place, predicted])):.3f}",
            *(line[:160] for line in lat.told(place)),
        ]
        text = sample.text[:160] if sample else ""
        self._explorer.view.tip(
            image=sample.image if sample else None, text="\n".join([*lines, text]).strip()
        )

    def _clicked(self, event: dict[str, Any]) -> None:
        found = self._at(event)
        if found is not None:
            number, view, place = found
            self.pin(number, int(view.lat.index[place]))

    def pin(self, number: int, row: int) -> None:
        """Keep a row of the shown run `number` beneath the figure.

        Raises
        ------
        InputError
            If the run has no latent of this row.
        """
        view = self._explorer.views()[number]
        one = inspect_row(view.lat, view.prior, row, neighbours=_NEIGHBOURS)
        spec = style.themed(inspection_spec(one), self._theme)
        # Its headline stands beside the picture.
        spec["layout"] |= {"annotations": [], "margin": spec["layout"]["margin"] | {"t": 8}}
        spec["layout"]["height"] -= 46
        if self._bars is None:
            self._bars = Plot(spec["data"], spec["layout"], label="the kept latent")
        else:
            self._bars.show(spec["data"], spec["layout"])
        self._picture.value = self._described(number, one)
        self._pin.children = (self._picture, self._bars, self._close)
        self._pin.layout.display = None
        self._explorer.bound.set_state(pinned=row)

    def unpin(self) -> None:
        """Put the kept row away."""
        self._pin.layout.display = "none"
        self._explorer.bound.set_state(pinned=-1)

    def _described(self, number: int, one: Inspection) -> str:
        """Return picture, labels and neighbours of a row as HTML."""
        run, split = self._number(number), self._explorer.split
        title = html.escape(self._explorer.sources[run].title)
        own = _sample_html(self._samples(run)(split, one.row), 64)
        lat = self._explorer.views()[number].lat
        lines = [html.escape(line[:160]) for line in lat.told(int(places_of(lat, [one.row])[0]))]
        near = list(zip(one.neighbours.tolist(), one.distances.tolist(), strict=True))
        lists = [("nearest in latent space", near)]
        if inputs := self._samples(run).nearest(split, one.row, _NEIGHBOURS):
            lists.append(("nearest in input space", inputs))
        told = "".join(self._listed_rows(run, split, lat, name, rows) for name, rows in lists)
        words = "<br>".join([*headline(one), f"in {title}", *lines])
        return (
            f"<div style='{_SMALL}'><div style='display:flex;gap:8px'><div>{own}</div>"
            f"<div>{words}</div></div>{told}</div>"
        )

    def _listed_rows(
        self, run: int, split: str, lat: LatentSet, name: str, rows: list[tuple[int, float]]
    ) -> str:
        """Return rows with their distances as a list in HTML."""
        items = []
        labels = dict(zip(lat.index.tolist(), lat.y.tolist(), strict=True))
        for row, distance in rows:
            label = f", {lat.class_names[labels[row]]}" if row in labels else ""
            told = html.escape(f"row {row}{label}, at {distance:.3g}")
            items.append(f"<li>{_sample_html(self._samples(run)(split, row), 24)} {told}</li>")
        return f"{name}:<ul style='{_NEAR}'>{''.join(items)}</ul>"

    # ---------------------------------------------------------- several

    def _lassoed(self, event: dict[str, Any]) -> None:
        explorer = self._explorer
        if event["polygon"] is None:
            explorer.chosen.clear()
            return
        number = explorer.panel_at(event["axes"][0])
        if number is None:
            return
        view = explorer.views()[number]
        inside = within(view.points, event["polygon"]) & np.isin(view.lat.y, view.shown)
        self._choose(number, view.lat.index[inside], "lasso", event.get("combine"))

    def _listed(self, change: Any) -> None:
        """Choose the rows that the list names, of the first run shown."""
        if self._following or change["new"] in ("lasso", "found"):
            return
        view = self._explorer.views()[0]
        self._choose(0, named_rows(view, change["new"]), change["new"])

    def _asked(self, change: Any) -> None:
        """Choose the rows that a person asks for in words, in the first run shown."""
        if not change["new"].strip():
            return
        explorer = self._explorer
        view = explorer.views()[0]
        try:
            rows = find_rows(view.lat, view.prior, change["new"], texts=self._texts(view))
        except InputError as error:
            explorer.bound.say(str(error))
            return
        explorer.bound.message.layout.display = "none"
        self._choose(0, rows, "found")

    def _texts(self, view: View) -> list[str] | None:
        """Return what stands behind the rows of the first run shown, if they are texts."""
        split = self._samples(self._number(0)).split(self._explorer.split)
        if split is None or split.texts is None:
            return None
        return [split.texts[row] for row in view.lat.index]

    def _choose(
        self, number: int, rows: NDArray[np.int64], how: str, combine: str | None = None
    ) -> None:
        explorer = self._explorer
        source = explorer.sources[self._number(number)].title
        self._following = True
        explorer.controls["choose"].value = how
        self._following = False
        combine = combine or explorer.controls["combine"].value
        explorer.chosen.choose(rows, split=explorer.split, source=source, combine=combine)

    def show_chosen(self) -> None:
        """Tell how right, how sure and how likely the chosen rows are, in every run shown."""
        explorer = self._explorer
        chosen = explorer.chosen
        self._save.layout.display = None if len(chosen) else "none"
        if not len(chosen):
            self._following = True
            explorer.controls["choose"].value = "none"
            self._following = False
            self._told.value = _note(_HINT)
            return
        if chosen.split != explorer.split:
            told = (
                f"{len(chosen):,} rows of the {chosen.split} split are chosen, which is not shown"
            )
            self._told.value = _note(told)
            return
        lines = []
        for number, view in enumerate(explorer.views()):
            rows = here(view.lat, chosen.rows)
            summary = selection_summary(view.lat, view.prior, rows)
            title = explorer.sources[self._number(number)].title
            lines.append(_row_html(title, summary))
        self._told.value = _TABLE.format(rows="".join(lines)) + self._pictures(chosen.rows)

    def _pictures(self, rows: NDArray[np.int64]) -> str:
        """Return the mean picture of the chosen rows and the first of them, if they are any."""
        samples, split = self._samples(self._number(0)), self._explorer.split
        mean = samples.mean_picture(split, rows)
        if mean is None:
            return ""
        first = [_sample_html(samples(split, int(row)), 32) for row in rows[:_SHOWN]]
        of = f"the first {_SHOWN} of {len(rows):,}" if len(rows) > _SHOWN else "each"
        return (
            f"<div>mean <img src='{mean}' alt='mean picture' {_PIXELS} width=56> "
            f"{of}: {''.join(first)}</div>"
        )

    def _saver(self, kind: str) -> ipw.Button:
        button = ipw.Button(
            description=f"Save {kind}",
            icon="download",
            tooltip=f"the chosen rows, one line for each in each run shown, as {kind}",
            layout=ipw.Layout(width="auto"),
        )
        button.on_click(lambda _: self.download(kind))
        return button

    def download(self, kind: str = "CSV") -> None:
        """Let the page save the chosen rows."""
        table, name = self.table(), f"chosen_{self._explorer.split}.{kind.lower()}"
        if kind == "CSV":
            self._explorer.view.download(name, table.to_csv(index=False).encode(), "text/csv")
        else:
            self._explorer.view.download(name, table.to_parquet(index=False))

    def table(self) -> pd.DataFrame:
        """Return the chosen rows in each run shown."""
        import pandas as pd

        explorer = self._explorer
        chosen = explorer.chosen
        rows = chosen.rows if chosen.split == explorer.split else np.empty(0, np.int64)
        parts = []
        for number, view in enumerate(explorer.views()):
            table = selection_table(view.lat, view.prior, here(view.lat, rows))
            table.insert(0, "run", explorer.sources[self._number(number)].title)
            parts.append(table)
        return pd.concat(parts, ignore_index=True)

    # ---------------------------------------------------------- parts

    def _at(self, event: dict[str, Any]) -> tuple[int, View, int] | None:
        """Return (number of the panel, its view, place in its latents) of what is pointed at."""
        meta, point = event["meta"], event.get("point")
        if meta.get("layer") != "points" or not isinstance(point, int):
            return None
        number = self._explorer.panel_at(event["axes"][0])
        if number is None:
            return None
        view = self._explorer.views()[number]
        mine = view.of_class(meta["class"])
        return (number, view, int(mine[point])) if point < len(mine) else None

    def _sample(self, number: int, view: View, place: int) -> Sample | None:
        row = int(view.lat.index[place])
        return self._samples(self._number(number))(self._explorer.split, row)

    def _number(self, panel: int) -> int:
        return self._explorer.shown_runs()[panel]


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
        places = places[np.argsort(_likelihood(lat, view.prior, places), kind="stable")[:_FEW]]
    else:
        places = places[:0]
    return lat.index[places]


def _likelihood(lat: LatentSet, prior: LatentPrior | None, places: NDArray[np.int64]) -> Any:
    if prior is None:
        raise InputError("there is no law p(z|y) to judge the latents by")
    return prior.log_marginal(lat.z[places])


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


def _row_html(title: str, summary: SelectionSummary) -> str:
    low, high = summary.accuracy_interval
    law = summary.label_note and f" ({summary.label_note})"
    told = [
        title,
        f"{summary.n:,} of {summary.of:,}",
        f"{summary.accuracy:.3f} [{low:.3f}, {high:.3f}]",
        f"{summary.confidence:.3f}{law}",
        f"{summary.ece:.3f} ({summary.ece_if_calibrated:.3f})",
        f"{summary.log_density:.3g} ± {summary.log_density_error:.2g} "
        f"({summary.log_density_all:.3g})",
    ]
    if np.isnan(summary.log_density):
        told[-1] = "–"
    return "<tr>" + "".join(f"<td {_CELL}>{html.escape(t)}</td>" for t in told) + "</tr>"


def _sample_html(sample: Sample | None, width: int) -> str:
    if sample is None:
        return ""
    if sample.image:
        return f"<img src='{sample.image}' alt='' {_PIXELS} width={width}>"
    return html.escape(sample.text[: 5 * width])


def _note(text: str) -> str:
    return prose(f"<span style='opacity:.75'>{html.escape(text)}</span>")
