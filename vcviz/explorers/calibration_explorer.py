"""CalibrationExplorer: how far confidence can be trusted, and what a temperature does to it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_flag
from vcviz.explorers.bind import Bound
from vcviz.explorers.calibration_controls import (
    calibration_controls,
    calibration_panel,
    offered_corruptions,
    values_now,
)
from vcviz.explorers.calibration_data import Bins, Calibrations, Rows
from vcviz.explorers.controls import prose
from vcviz.explorers.display import NARROW_PX, Explorer
from vcviz.explorers.panel_data import sources
from vcviz.explorers.selection import Selection
from vcviz.figures import theme as style
from vcviz.figures.diagram import Diagram
from vcviz.figures.reliability import COLUMNS, panel_of
from vcviz.figures.temperature import temperature_spec
from vcviz.metrics.inspection import with_own

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
        controls = calibration_controls(self._sources, details=check_flag("details", details))
        # Above the figure, with room for a line of each run: what is chosen moves nothing.
        room = ipw.Layout(min_height=f"{1.45 * len(self._sources):.2f}em")
        self._line = ipw.HTML(prose(_HINT), layout=room)
        panel = ipw.VBox([calibration_panel(controls, self.reset), self._line])
        state = {"chosen": ("test", b""), "narrow": False}
        bound = Bound(self._draw, controls, "temperature", panel, state)
        super().__init__(bound, chosen=Selection())
        bound.on("click", self._clicked)
        bound.on("select", self._boxed)
        bound.on("resize", self._resized)
        for control in controls.values():
            control.observe(self._say, names="value")
        if "corruption" in controls:
            controls["corruption"].observe(self._enable, names="value")
            self._enable()

    # ------------------------------------------------------------ what it shows

    @property
    def selection(self) -> pd.DataFrame:
        """The chosen rows of the run in which they were chosen, else of the first one shown.

        Columns: ``row`` (its number in the split), ``label``, ``predicted``, ``confidence`` (at
        the temperature now, of the top label or the class shown), ``right`` and ``bin`` (from 0);
        then the user's own, `LatentSet.table`.
        """
        import pandas as pd

        assert self.chosen is not None
        source, shown = self.chosen.source, self._shown()
        i = next((i for i in shown if self._sources[i].title == source), shown[0])
        rows, bins, temperature = self._now()
        of, names = self._of[i], np.array(self._sources[i].class_names, dtype=object)
        lat = of.latents(rows)
        mask = self._mask(i, rows)
        confidence, right = of.told(rows, bins.label, temperature)
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
            listed = list(corruptions or offered_corruptions(self._sources)[:4])
            lists = {"corruption": listed}
            fixed = {"corruption": listed[0]}
            fixed |= {"split": "test"} if "split" in self.controls else {}
        many = frames or {"temperature": 29, "bins": 17}.get(slider)
        return self.bound.figure(
            menus=lists if menus is None else menus,
            frames=many,
            slider=slider,
            draw=self._still,
            **fixed,
        )

    def show_chosen(self) -> None:
        """Show which of the chosen rows are in which bin."""
        assert self.chosen is not None
        self.bound.set_state(chosen=(self.chosen.split, self.chosen.rows.tobytes()))
        self._say()

    # ------------------------------------------------------------ controls

    def _enable(self, _change: Any = None) -> None:
        corrupted = self.controls["corruption"].value != "none"
        self.controls["severity"].disabled = not corrupted
        if "split" in self.controls:
            self.controls["split"].disabled = corrupted

    def _shown(self) -> tuple[int, ...]:
        return tuple(self.bound.values.get("runs", range(len(self._sources))))

    def _now(self) -> tuple[Rows, Bins, float]:
        return values_now(self.bound.values)

    # ------------------------------------------------------------ drawing

    def _still(self, **values: Any) -> dict[str, Any]:
        return self._draw(**{**values, "chosen": None, "narrow": False})

    def _draw(self, **values: Any) -> dict[str, Any]:
        rows, bins, temperature = values_now(values)
        shown = [self._of[i] for i in values.get("runs", range(len(self._of)))]
        chosen = values["chosen"]
        details = values["details"]
        diagrams = [self._diagram(of, rows, bins, temperature, chosen, details) for of in shown]
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
            diagrams,
            [of.sweep(rows, bins) for of in shown],
            temperature,
            heights=[sweep for of in shown for sweep in of.heights(rows, bins)],
            narrow=values["narrow"],
            details=details,
            **more,
        )
        if chosen is not None:
            spec["layout"] |= {"dragmode": "select", "selectdirection": "h"}
            # A box fades the bars outside it, but must not fade the numbers.
            kept = {"unselected": {"textfont": {"color": style.ink(self._theme)}}}
            spec["data"] = [t | kept if t.get("mode") == "text" else t for t in spec["data"]]
        return style.themed(spec, self._theme)

    def _diagram(
        self,
        of: Calibrations,
        rows: Rows,
        bins: Bins,
        temperature: float,
        chosen: Any,
        details: bool,
    ) -> Diagram:
        counts = None
        if chosen is not None:
            split, packed = chosen
            counts = np.zeros(of.curve(rows, bins, temperature).n_bins, np.int64)
            if packed and split == rows.split:
                mask = of.chosen(rows, np.frombuffer(packed, np.int64))
                place = of.bin_of(rows, bins, temperature, mask)
                counts = np.bincount(place, minlength=len(counts))
        return Diagram(
            of.curve(rows, bins, temperature, details),
            before=of.curve(rows, bins, 1.0),
            smooth=of.smooth(rows, bins.label, temperature) if details else None,
            brier=of.brier(rows, bins.n, bins.binning, temperature) if details else None,
            chosen=counts,
            at_most=len(of.latents(Rows(rows.split))),
        )

    # ------------------------------------------------------------ choosing rows

    def _resized(self, event: dict[str, Any]) -> None:
        self.bound.fit_page(narrow=event["width"] < NARROW_PX)

    def _clicked(self, event: dict[str, Any]) -> None:
        run, x = event["meta"].get("run"), event["x"]
        if run is not None and x is not None:
            self._choose(run, x, x)

    def _boxed(self, event: dict[str, Any]) -> None:
        assert self.chosen is not None
        if event["polygon"] is None:
            self.chosen.clear()
            return
        columns = 1 if self.bound.values["narrow"] else COLUMNS
        run = panel_of(event["axes"][0], len(self._shown()), columns)
        if run is not None:
            ends = event["polygon"][:, 0].min(), event["polygon"][:, 0].max()
            self._choose(run, *ends, event.get("combine"))

    def _choose(self, place: int, low: float, high: float, combine: str | None = None) -> None:
        """Choose the rows of a run's bins with their middle in a range, or of the one around it."""
        assert self.chosen is not None
        i = self._shown()[place]
        rows, bins, temperature = self._now()
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
        assert self.chosen is not None
        wanted = self.chosen.rows if self.chosen.split == rows.split else np.empty(0, np.int64)
        return self._of[i].chosen(rows, wanted)

    def _say(self, _change: Any = None) -> None:
        """Say above the figure how good the predictions of the chosen rows are, by run."""
        assert self.chosen is not None
        rows, bins, temperature = self._now()
        if len(self.chosen) == 0:
            self._line.value = prose(_HINT)
            return
        lines = []
        for i in self._shown():
            of, mask = self._of[i], self._mask(i, rows)
            title = html.escape(self._sources[i].title)
            if not mask.any():
                lines.append(f"{title}: none of the chosen rows is among those shown")
                continue
            part = of.part(rows, bins, temperature, mask)
            confidence, right = (told[mask] for told in of.told(rows, bins.label, temperature))
            floor = f" ({part.ece_if_calibrated:.3f} expected if calibrated)"
            lines.append(
                f"{title}: n = {part.n:,} chosen, accuracy {right.mean():.3f}, mean confidence "
                f"{confidence.mean():.3f}, ECE {part.ece:.3f}"
                + floor
                * bool(np.isfinite(part.ece_if_calibrated))
            )
        self._line.value = prose("<br>".join(lines))
