"""CalibrationExplorer: how far confidence can be trusted, and what a temperature does to it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_flag
from vcviz.data.corruptions import SEVERITIES
from vcviz.explorers.calibration_data import FEWEST, LOG_T, MOST, Bins, Calibrations, Rows
from vcviz.explorers.controls import PLAIN, Control, Row, checkbox, choice, dropdown, prose
from vcviz.explorers.display import NARROW_PX, Explorer
from vcviz.explorers.latent_controls import runs_control, split_control
from vcviz.explorers.panel_data import Source, sources
from vcviz.explorers.selection import Selection
from vcviz.figures import theme as style
from vcviz.figures.diagram import Diagram
from vcviz.figures.reliability import COLUMNS, panel_of
from vcviz.figures.temperature import temperature_spec
from vcviz.metrics.inspection import with_own
from vcviz.studies.compare.corruptions import corruptions_for

if TYPE_CHECKING:
    import pandas as pd

_SLIDERS = ("temperature", "bins", "severity")
_HINT = (
    "Click a bar, or drag across a diagram, to choose the samples of those bins; "
    "<code>explorer.selection</code> has them."
)


class CalibrationExplorer(Explorer):
    """Reliability diagrams of runs with sliders for bins, temperature and corruption.

    A click on a bar, or a box along the confidence axis, chooses the samples of those bins;
    explorers joined by `vcviz.link` show them, and those chosen elsewhere are counted here.

    Parameters
    ----------
    runs : a `Run`, a LatentSet, a (LatentSet, prior) pair, or a sequence of them; all with the
        same classes. A LatentSet may carry any latents: only its log-probabilities are used, and
        its inputs cannot be corrupted.
    resamples : draws for the intervals; of smooth ECE at most 100
    details : show gaps, intervals and all numbers at first
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control, among ``runs``, ``split``, ``label``, ``binning``, ``bins``,
        ``temperature``, ``details``, ``corruption`` and ``severity``. Corrupted are the first
        2,000 test rows; the temperature of least NLL stays that of the same rows clean.
    chosen : `Selection` of rows
    selection : DataFrame of the chosen rows
    view, widget : the live figure; controls and figure

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> explorer = vcviz.CalibrationExplorer(run, resamples=100)
    >>> explorer.controls["temperature"].value = 2.0
    >>> explorer.chosen.choose([3, 5, 8])
    >>> explorer.selection[["row", "label", "right"]]
       row label  right
    0    3     1   True
    1    5     3   True
    2    8     1   True
    """

    words = (
        "confidence",
        "ECE",
        "if calibrated",
        "temperature",
        "NLL",
        "debiased",
        "smECE",
        "Brier",
    )

    def __init__(
        self,
        runs: Any,
        *,
        resamples: int = 1000,
        details: bool = False,
        theme: style.Theme = "auto",
    ) -> None:
        self._sources = sources(runs)
        self._theme = theme
        self._of = [Calibrations(source, resamples) for source in self._sources]
        # Above the figure, with room for a line of each run: what is chosen moves nothing.
        room = ipw.Layout(min_height=f"{1.45 * len(self._sources):.2f}em")
        self._line = ipw.HTML(prose(_HINT), layout=room)
        self._above = [self._line]
        in_view, folded = _controls(self._sources, check_flag("details", details))
        super().__init__(
            self._draw,
            *in_view,
            more=folded,
            slider="temperature",
            state={"chosen": ("test", b""), "narrow": False},
            chosen=Selection(),
        )
        self.bound.on("click", self._clicked)
        self.bound.on("select", self._boxed)
        self.bound.on("resize", self._resized)

    # ------------------------------------------------------------ what it shows

    @property
    def selection(self) -> pd.DataFrame:
        """The chosen rows of the run in which they were chosen, else of the first one shown.

        Columns: ``row`` (its number in the split), ``label``, ``predicted``, ``confidence`` (at
        the temperature now, of the top label or the class shown), ``right`` and ``bin`` (from 0);
        then the user's own, `LatentSet.table`.
        """
        import pandas as pd

        source, shown = self.chosen.source, self.bound.values["runs"]
        i = next((i for i in shown if self._sources[i].title == source), shown[0])
        rows, bins, temperature = _now(self.bound.values)
        of, names = self._of[i], np.array(self._sources[i].class_names, dtype=object)
        lat = of.latents(rows)
        mask = self._mask(i, rows)
        confidence, right = of.outcomes(rows, bins.label, temperature)
        columns = {
            "row": lat.index[mask],
            "label": names[lat.y[mask]],
            "predicted": names[lat.log_probs[mask].argmax(1)],
            "confidence": confidence[mask],
            "right": right[mask],
            "bin": of.bin_of(rows, bins, temperature, mask),
        }
        return pd.DataFrame(with_own(columns, lat, mask))

    def figure(
        self,
        *,
        slider: str = "temperature",
        bins: Sequence[int] = (10, 15, 30),
        corruptions: Sequence[str] | None = None,
        menus: Mapping[str, Sequence[Any] | None] | None = None,
        frames: int | None = None,
    ) -> go.Figure:
        """Return one static figure that needs no kernel.

        Parameters
        ----------
        slider : "temperature", with a list of numbers of bins; "bins", with a list of equal widths
            and equal masses; "severity", with a list of corruptions
        bins, corruptions : of those lists; default the first four corruptions
        menus : lists of other controls instead: control -> values, None for all; for example
            ``{"split": None, "label": ["top", 0, 1]}``
        frames : most positions of the slider; default 29 temperatures, 17 numbers of bins
        """
        if slider not in _SLIDERS:
            raise unknown("slider", slider, _SLIDERS)
        lists: dict[str, Sequence[Any] | None] = {"bins": bins}
        fixed: dict[str, Any] = {}
        if slider == "bins":
            lists = {"binning": None}
        elif slider == "severity":
            if "corruption" not in self.controls:
                raise InputError(
                    "these inputs cannot be corrupted: pass a run, or a model and data"
                )
            listed = list(corruptions or _corruptions(self._sources)[:4])
            lists = {"corruption": listed}
            fixed = {"corruption": listed[0], "split": "test"}
        many = frames or {"temperature": 29, "bins": 17}.get(slider)
        return self.bound.figure(
            menus=lists if menus is None else menus,
            frames=many,
            slider=slider,
            draw=lambda **values: self._draw(**(values | {"chosen": None, "narrow": False})),
            **fixed,
        )

    def show_chosen(self, _change: object = None) -> None:
        """Show which of the chosen rows are in which bin."""
        self.bound.set_state(chosen=(self.chosen.split, self.chosen.rows.tobytes()))

    # ------------------------------------------------------------ drawing

    def _draw(self, **values: Any) -> dict[str, Any]:
        rows, bins, temperature = _now(values)
        shown = [self._of[i] for i in values["runs"]]
        more: dict[str, Any] = {}
        if rows.corruption is not None:
            clean = rows._replace(severity=0)
            more = {
                "clean": [of.sweep(clean, bins) for of in shown],
                "severities": [of.severity_sweep(rows, bins, temperature) for of in shown],
                "severity": rows.severity,
                "corruption": rows.corruption.replace("_", " "),
            }
        spec = temperature_spec(
            [_diagram(of, values) for of in shown],
            [of.sweep(rows, bins) for of in shown],
            temperature,
            heights=[sweep for of in shown for sweep in of.heights(rows, bins)],
            narrow=values["narrow"],
            details=values["details"],
            **more,
        )
        if values["chosen"] is not None:
            spec["layout"] |= {"dragmode": "select", "selectdirection": "h"}
            # A box fades the bars outside it, but must not fade the numbers.
            kept = {"unselected": {"textfont": {"color": style.ink(self._theme)}}}
            spec["data"] = [t | kept if t.get("mode") == "text" else t for t in spec["data"]]
        return style.themed(spec, self._theme)

    # ------------------------------------------------------------ choosing rows

    def _resized(self, event: dict[str, Any]) -> None:
        self.bound.fit_page(narrow=event["width"] < NARROW_PX)

    def _clicked(self, event: dict[str, Any]) -> None:
        run, x = event["meta"].get("run"), event["x"]
        if run is not None and x is not None:
            self._choose(run, x, x)

    def _boxed(self, event: dict[str, Any]) -> None:
        if event["polygon"] is None:
            self.chosen.clear()
            return
        columns = 1 if self.bound.values["narrow"] else COLUMNS
        run = panel_of(event["axes"][0], len(self.bound.values["runs"]), columns)
        if run is not None:
            ends = event["polygon"][:, 0].min(), event["polygon"][:, 0].max()
            self._choose(run, *ends, event.get("combine"))

    def _choose(self, place: int, low: float, high: float, combine: str | None = None) -> None:
        """Choose the rows of a run's bins with their middle in a range, or of the one around it."""
        i = self.bound.values["runs"][place]
        rows, bins, temperature = _now(self.bound.values)
        of = self._of[i]
        edges = of.curve(rows, bins, temperature).edges
        middle = (edges[:-1] + edges[1:]) / 2
        wanted = (middle >= low) & (middle <= high)
        if not wanted.any():
            wanted = (edges[:-1] <= low) & (high <= edges[1:])
        inside = wanted[of.bin_of(rows, bins, temperature)]
        found = of.latents(rows).index[inside]
        again = not combine and np.array_equal(np.sort(found), self.chosen.rows)
        source = self._sources[i].title
        self.chosen.choose(
            [] if again else found, split=rows.split, source=source, combine=combine or "new"
        )

    def _mask(self, i: int, rows: Rows) -> NDArray[np.bool_]:
        wanted = self.chosen.rows if self.chosen.split == rows.split else np.empty(0, np.int64)
        return self._of[i].chosen(rows, wanted)

    def _before_drawing(self) -> None:
        super()._before_drawing()
        self._line.value = prose(self._summary())

    def _summary(self) -> str:
        """Return how good the predictions of the chosen rows are, by run, as HTML."""
        if len(self.chosen) == 0:
            return _HINT
        rows, bins, temperature = _now(self.bound.values)
        lines = []
        for i in self.bound.values["runs"]:
            of, mask = self._of[i], self._mask(i, rows)
            title = html.escape(self._sources[i].title)
            if not mask.any():
                lines.append(f"{title}: none of the chosen rows is among those shown")
                continue
            part = of.part(rows, bins, temperature, mask)
            confidence, right = (c[mask] for c in of.outcomes(rows, bins.label, temperature))
            lines.append(
                f"{title}: n = {part.n:,} chosen, accuracy {right.mean():.3f}, mean confidence "
                f"{confidence.mean():.3f}, ECE {part.ece:.3f}"
            )
            if np.isfinite(part.ece_if_calibrated):
                lines[-1] += f" ({part.ece_if_calibrated:.3f} expected if calibrated)"
        return "<br>".join(lines)


def _diagram(of: Calibrations, values: Mapping[str, Any]) -> Diagram:
    rows, bins, temperature = _now(values)
    counts = None
    if values["chosen"] is not None:
        split, packed = values["chosen"]
        counts = np.zeros(of.curve(rows, bins, temperature).n_bins, np.int64)
        if packed and split == rows.split:
            mask = of.chosen(rows, np.frombuffer(packed, np.int64))
            place = of.bin_of(rows, bins, temperature, mask)
            counts = np.bincount(place, minlength=len(counts))
    details = values["details"]
    return Diagram(
        of.curve(rows, bins, temperature, details),
        before=of.curve(rows, bins, 1.0),
        smooth=of.smooth(rows, bins.label, temperature) if details else None,
        brier=of.brier(rows, bins.n, bins.binning, temperature) if details else None,
        chosen=counts,
        at_most=len(of.latents(Rows(rows.split))),
    )


def _controls(of: Sequence[Source], details: bool) -> tuple[list[Row], list[Row]]:
    """Return the rows of controls that are in view, and those that are folded away."""
    labels = [("top label", "top"), *((f"class {n}", k) for k, n in enumerate(of[0].class_names))]
    binnings = [("equal width", "width"), ("equal mass", "mass")]
    offered = [(name.replace("_", " "), name) for name in _corruptions(of)]
    bins = ipw.IntSlider(
        15, FEWEST, MOST, description="Number of bins", style=PLAIN,
        layout=ipw.Layout(width="280px"),
    )  # fmt: skip
    temperature = ipw.FloatLogSlider(
        1.0, min=LOG_T[0], max=LOG_T[1], step=0.025, description="Temperature T", style=PLAIN,
        readout_format=".3g", layout=ipw.Layout(width="300px"),
    )  # fmt: skip
    severity = ipw.IntSlider(
        3, 0, SEVERITIES, description="Severity", style=PLAIN, layout=ipw.Layout(width="300px")
    )

    def corrupted(now: Mapping[str, Any]) -> bool:
        return bool(now["corruption"] != "none")

    def clean(now: Mapping[str, Any]) -> bool:
        return not corrupted(now)

    in_view: list[Row] = [
        [
            Control("temperature", temperature),
            Control("bins", bins),
            # ipywidgets takes a value of None for "nothing chosen".
            Control("label", dropdown("Confidence in", labels)),
        ],
        [
            Control("details", checkbox("details: gaps, intervals, all numbers", details)),
            replace(split_control(of, "test"), enabled=clean),
        ],
    ]
    folded: list[Row] = [
        [runs_control(of), Control("binning", dropdown("Bins of", binnings))],
        [
            choice("corruption", "Corruption", [("none", "none"), *offered]),
            Control("severity", severity if offered else None, 0, enabled=corrupted),
        ],
    ]
    return in_view, folded


def _corruptions(of: Sequence[Source]) -> list[str]:
    """Return the corruptions that the inputs of all sources can be put through."""
    each = [corruptions_for(source.run) for source in of]
    return [name for name in each[0] if all(name in other for other in each)]


def _now(values: Mapping[str, Any]) -> tuple[Rows, Bins, float]:
    """Return what the values of the controls say: rows, bins and temperature."""
    rows = Rows(values["split"])
    if values["corruption"] != "none":
        rows = Rows("test", values["corruption"], values["severity"])
    label = None if values["label"] == "top" else values["label"]
    return rows, Bins(values["bins"], values["binning"], label), float(values["temperature"])
