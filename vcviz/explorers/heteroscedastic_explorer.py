"""HeteroscedasticExplorer: temperature and draws of noisy logits, moved without training."""

from __future__ import annotations

from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.explorers.controls import PLAIN, Control, dropdown
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.noise import NoiseView, noise_spec
from vcviz.metrics.calibration import mean_kl, negative_log_likelihood
from vcviz.metrics.noisy_scores import argmax_probs, input_grid, noisy_log_probs
from vcviz.records import LogitLaw, Split
from vcviz.runs import Run

_DECADES = 2.0  # temperatures from 1/100 to 100 of that of training
_CURVE_POINTS = 25
_DRAWS = (1, 10, 100, 1000)
_PLANE_POINTS = 33


class HeteroscedasticExplorer(Explorer):
    """The noise in a classifier's logits for one input, at any temperature and number of draws.

    Parameters
    ----------
    run : a `Run` with the head ``heteroscedastic``
    split : "test" or "train", the rows to choose from
    data : those rows; default what the run loads again
    samples : inputs along the list, from the least to the most noisy
    rows : most rows that the curve over temperatures is a mean of
    seed : of the noise
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control: ``temperature``, ``draws``, ``sample`` (a row of the split)
    view, widget : the live figure; controls and figure

    Notes
    -----
    mean, noise and temperature have no scale of their own, so that utilities are shown as
    differences divided by the temperature of training. Moving tau changes what a prediction makes
    of them; it does not change the model.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="heteroscedastic", epochs=2, progress=False)
    >>> explorer = vcviz.HeteroscedasticExplorer(run, samples=3, rows=50)
    >>> explorer.controls["temperature"].value, explorer.controls["draws"].value
    (1.0, 100)
    """

    def __init__(
        self,
        run: Any,
        *,
        split: str = "test",
        data: Split | None = None,
        samples: int = 15,
        rows: int = 400,
        seed: int = 0,
        theme: style.Theme = "auto",
    ) -> None:
        from vcviz.latents.logit_laws import logit_law

        if not isinstance(run, Run):
            raise InputError(f"HeteroscedasticExplorer takes a run, got {type(run).__name__}")
        self._theme, self._seed = theme, seed
        model = run.model()
        data = run.split(split) if data is None else data
        kept = np.linspace(0, len(data) - 1, min(check_count("rows", rows), len(data)))
        self._data = data.take(np.unique(kept.round().astype(int)))
        self._law: LogitLaw = logit_law(model, self._data)
        self._plane_x: NDArray[np.float64] | None = None
        self._plane: LogitLaw | None = None
        if self._data.kind == "table" and self._data.x.shape[1] == 2:
            self._plane_x = input_grid(self._data.x, _PLANE_POINTS)
            self._plane = logit_law(model, self._plane_x)
        tau = float(np.log10(self._law.temperature))
        temperature = ipw.FloatLogSlider(
            self._law.temperature,
            min=tau - _DECADES,
            max=tau + _DECADES,
            step=0.125,
            description="Temperature τ",
            style=PLAIN,
            readout_format=".3g",
            layout=ipw.Layout(width="400px"),
        )
        inputs = self._inputs(check_count("samples", samples))
        middle = inputs[len(inputs) // 2][1]
        super().__init__(
            self._draw,
            [
                Control("temperature", temperature),
                Control("draws", dropdown("Draws S", [(f"{n:,}", n) for n in _DRAWS], value=100)),
                Control("sample", dropdown("Input, least noisy first", inputs, value=middle)),
            ],
            slider="temperature",
        )

    def figure(
        self, *, draws: tuple[int, ...] = (1, 10, 100), samples: int = 3, frames: int = 17
    ) -> go.Figure:
        """Return one static figure: a slider over tau, a list of draws and of `samples` inputs."""
        values = [value for _, value in self.controls["sample"].options]
        rows = np.linspace(0, len(values) - 1, min(samples, len(values))).round().astype(int)
        chosen = [values[i] for i in rows]
        shown = self.controls["sample"].value
        if shown not in chosen:
            chosen[len(chosen) // 2] = shown
        return self.bound.figure(menus={"sample": chosen, "draws": draws}, frames=frames)

    def _inputs(self, samples: int) -> list[tuple[str, int]]:
        """Return titles and rows of inputs, from the least to the most noisy."""
        _, noise = self._law.contrast(*self._law.leaders.T)
        ranks = np.linspace(0, len(noise) - 1, min(samples, len(noise))).round().astype(int)
        rows = np.argsort(noise, kind="stable")[ranks]
        return [(f"row {self._data.index[r]}, noise {noise[r]:.2g}", int(r)) for r in rows]

    def _draw(self, *, temperature: float, draws: int, sample: int) -> dict[str, Any]:
        law, data = self._law.take([sample]), self._data
        tau = float(temperature)
        log_probs = noisy_log_probs(law, temperature=tau, draws=draws, seed=self._seed)
        view = NoiseView(
            law=law,
            probs=np.exp(log_probs[0]),
            limit=_limit(law),
            truth=None if data.label_probs is None else data.label_probs[sample],
            temperature=tau,
            draws=draws,
            x=None if self._plane is None else data.x[sample].astype(float),
            plane_x=self._plane_x,
            plane=self._plane,
            others=self._law,
            curve=self._curve(draws),
            seed=self._seed,
        )
        return style.themed(noise_spec(view), self._theme)

    @cached_method()
    def _curve(self, draws: int) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
        """Return temperatures and the score of the rows at each of them."""
        reach = np.linspace(-_DECADES, _DECADES, _CURVE_POINTS)
        taus = self._law.temperature * 10**reach
        truth, scores = self._data.label_probs, []
        for tau in taus:
            log_probs = noisy_log_probs(
                self._law, temperature=float(tau), draws=draws, seed=self._seed
            )
            # One draw at a small temperature is sure of itself; the axis should show the rest.
            log_probs = np.maximum(log_probs, np.log(1e-6))
            scores.append(
                negative_log_likelihood(log_probs, self._data.y)
                if truth is None
                else mean_kl(truth, log_probs)
            )
        rows = f"{len(self._data):,} rows"
        what = f"NLL of {rows}" if truth is None else f"KL from the truth, {rows}"
        return taus, np.array(scores), what


def _limit(law: LogitLaw) -> NDArray[np.float64] | None:
    try:
        return argmax_probs(law)[0]
    except InputError:
        return None
