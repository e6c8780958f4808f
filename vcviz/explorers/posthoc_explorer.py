"""PosthocExplorer: what recalibration or another law makes of a trained classifier."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError
from vcviz.base.options import check_choice
from vcviz.explorers.controls import Control, choice, steps
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.grid import beside
from vcviz.figures.posthoc import ROW_PX, score_panels
from vcviz.figures.reliability import reliability_panels
from vcviz.metrics.calibration import reliability_curve
from vcviz.metrics.posthoc import REVISIONS, PosthocScores, posthoc_scores, revised
from vcviz.metrics.posthoc.revision import LAWS, fitted_to
from vcviz.records import LatentSet, ReliabilityCurve
from vcviz.records.titles import run_titles
from vcviz.runs import Run

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
        if not self._runs or not all(isinstance(run, Run) for run in self._runs):
            raise InputError("PosthocExplorer takes a run, or several; see vcviz.load_run")
        self._titles = run_titles(self._runs)
        self._theme, self._resamples = theme, resamples
        titles = [(title, i) for i, title in enumerate(self._titles)]
        methods = [(label, name) for name, label in REVISIONS.items() if name != "none"]
        check_choice("post-hoc method", method, [name for _, name in methods])
        rows = [("training rows", "train")]
        if all(run.config.validation for run in self._runs):
            rows.append(("held-out rows", "validation"))
        check_choice("laws", laws, [name for _, name in rows])
        super().__init__(
            self._draw,
            [
                choice("run", "Run", titles),
                choice("method", "Method", methods, value=method),
                choice("laws", "Laws of", rows, value=laws),
                Control("bins", steps("Number of bins", _BINS, 15, width="340px")),
            ],
            slider="bins",
        )

    def figure(self, *, frames: int = 4) -> go.Figure:
        """Return one static figure with a list of methods and a slider of bin numbers."""
        return self.bound.figure(menus=("method",), frames=frames)

    def _draw(self, *, run: int, method: str, laws: str, bins: int) -> dict[str, Any]:
        curves = [self._curve(run, name, laws, bins) for name in ("none", method)]
        panels = reliability_panels(curves, columns=2)
        scores = self._scores(run, laws)
        strip = ROW_PX * len(scores) + 20
        total = panels.room_beneath(_GAP_PX + strip)
        row = beside((0.0, strip / total), 3, gap_x=0.05, first=80)
        score_panels(panels, scores, row, chosen=method)
        return style.themed(panels.spec, self._theme)

    @cached_method()
    def _revised(self, i: int, method: str, laws: str) -> LatentSet:
        """Return what a method makes of the test rows; a map is fitted once, whatever `laws` is."""
        if method not in LAWS and laws != "train":
            return self._revised(i, method, "train")
        run = self._runs[i]
        validation = run.latents("validation") if run.config.validation else None
        return revised(run.latents(), method, validation=validation, train=run.latents(laws))

    @cached_method()
    def _scores(self, i: int, laws: str) -> list[PosthocScores]:
        run = self._runs[i]
        return [
            posthoc_scores(
                run.latents(),
                self._revised(i, method, laws),
                method,
                resamples=self._resamples,
                name=self._titles[i],
                fitted_to=fitted_to(method, laws, held_out=run.config.validation > 0),
            )
            for method in REVISIONS
        ]

    @cached_method()
    def _curve(self, i: int, method: str, laws: str, bins: int) -> ReliabilityCurve:
        lat = self._revised(i, method, laws)
        name = f"{self._titles[i]}, {REVISIONS[method]}"
        return reliability_curve(lat, n_bins=bins, resamples=self._resamples, name=name)
