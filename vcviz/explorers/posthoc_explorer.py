"""PosthocExplorer: what recalibration or another law makes of a trained classifier."""

from __future__ import annotations

from functools import cache
from typing import Any

import ipywidgets as ipw
import plotly.graph_objects as go

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice
from vcviz.base.titles import run_titles
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import PLAIN, dropdown, reset_button, row_of
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.grid import beside
from vcviz.figures.posthoc import ROW_PX, score_panels
from vcviz.figures.reliability import reliability_panels
from vcviz.metrics.calibration import reliability_curve
from vcviz.metrics.posthoc import REVISIONS, PosthocScores, posthoc_scores, revised
from vcviz.metrics.posthoc.revision import LAWS, fitted_to
from vcviz.records import LatentSet, ReliabilityCurve

_GAP_PX = 120
#: numbers of bins along the slider
_BINS = (5, 8, 10, 12, 15, 20, 25, 30, 40, 50)


class PosthocExplorer(Explorer):
    """Reliability of a run's test rows as trained and after a post-hoc method, and all scores.

    Recalibration is fitted to the run's validation rows (across folds of the test rows where it
    held none out), laws to its training rows or to its validation rows; every number is of the
    test rows.

    Parameters
    ----------
    runs : a `Run` or a sequence of them
    method : the method shown at first, a name of `vcviz.metrics.posthoc.REVISIONS`
    laws : the rows that laws are fitted to at first, "train" or "validation"
    resamples : draws for the intervals
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control, among ``run``, ``method``, ``laws`` (if all runs held rows out),
        ``bins``
    view, widget : the live figure; controls and figure

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> explorer = vcviz.PosthocExplorer(run, resamples=20)
    >>> explorer.controls["method"].value, explorer.controls["bins"].value
    ('temperature', 15)
    """

    words = ("confidence", "ECE", "if calibrated", "NLL", "strangers")

    def __init__(
        self,
        runs: Any,
        *,
        method: str = "temperature",
        laws: str = "train",
        resamples: int = 1000,
        theme: style.Theme = "auto",
    ) -> None:
        self._runs = list(runs) if isinstance(runs, (list, tuple)) else [runs]
        if not self._runs or not all(hasattr(r, "latents") for r in self._runs):
            raise InputError("PosthocExplorer takes a run, or several; see vcviz.load_run")
        self._titles = run_titles(self._runs)
        self._theme, self._resamples = theme, resamples
        self._revised, self._scores = cache(self._new_revised), cache(self._new_scores)
        self._curve = cache(self._new_curve)
        controls: dict[str, ipw.Widget] = {}
        if len(self._runs) > 1:
            options = [(title, i) for i, title in enumerate(self._titles)]
            controls["run"] = dropdown("Run", options)
        methods = [(label, name) for name, label in REVISIONS.items() if name != "none"]
        controls["method"] = dropdown("Method", methods)
        check_choice("post-hoc method", method, [name for _, name in methods])
        controls["method"].value = method
        rows = [("training rows", "train")]
        if all(self._held_out(i) for i in range(len(self._runs))):
            rows.append(("held-out rows", "validation"))
            controls["laws"] = dropdown("Laws of", rows)
        check_choice("laws", laws, [name for _, name in rows])
        if "laws" in controls:
            controls["laws"].value = laws
        controls["bins"] = ipw.SelectionSlider(
            options=_BINS, value=15, description="Number of bins", style=PLAIN,
            layout=ipw.Layout(width="340px"),
        )  # fmt: skip
        boxes = row_of([*controls.values(), reset_button(self.reset)])
        super().__init__(Bound(self._draw, controls, "bins", boxes))

    def figure(self, *, frames: int = 4) -> go.Figure:
        """Return one static figure with a list of methods and a slider of bin numbers."""
        return self.bound.figure(menus=("method",), frames=frames)

    def _draw(self, **values: Any) -> dict[str, Any]:
        i, method, laws = values.get("run", 0), values["method"], values.get("laws", "train")
        curves = [self._curve(i, name, laws, values["bins"]) for name in ("none", method)]
        panels = reliability_panels(curves, columns=2)
        scores = self._scores(i, laws)
        strip = ROW_PX * len(scores) + 20
        total = panels.room_beneath(_GAP_PX + strip)
        row = beside((0.0, strip / total), 3, gap_x=0.05, first=80)
        score_panels(panels, scores, row, chosen=method)
        return style.themed(panels.spec, self._theme)

    def _latents(self, i: int, split: str) -> LatentSet:
        return self._runs[i].latents(split)

    def _held_out(self, i: int) -> bool:
        return getattr(getattr(self._runs[i], "config", None), "validation", 0) > 0

    def _new_revised(self, i: int, method: str, laws: str) -> LatentSet:
        validation = self._latents(i, "validation") if self._held_out(i) else None
        test, fitted = self._latents(i, "test"), self._latents(i, laws)
        return revised(test, method, validation=validation, train=fitted)

    def _new_scores(self, i: int, laws: str) -> list[PosthocScores]:
        before, name = self._latents(i, "test"), self._titles[i]
        return [
            posthoc_scores(
                before,
                self._made(i, m, laws),
                m,
                resamples=self._resamples,
                name=name,
                fitted_to=fitted_to(m, laws, held_out=self._held_out(i)),
            )
            for m in REVISIONS
        ]

    def _made(self, i: int, method: str, laws: str) -> LatentSet:
        """Return what a method makes of the test rows; a map is fitted once, whatever `laws` is."""
        return self._revised(i, method, laws if method in LAWS else "train")

    def _new_curve(self, i: int, method: str, laws: str, bins: int) -> ReliabilityCurve:
        lat = self._made(i, method, laws)
        name = f"{self._titles[i]}, {REVISIONS[method]}"
        return reliability_curve(lat, n_bins=bins, resamples=self._resamples, name=name)
