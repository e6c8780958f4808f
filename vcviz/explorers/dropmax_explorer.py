"""DropMaxExplorer: every mask is a classifier of its own; see them one by one, and together."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.explorers.controls import Control, steps
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.masks import MaskView, mask_spec
from vcviz.figures.outlines import latent_ranges
from vcviz.geometry import fit_projection
from vcviz.geometry.projections import plane_latents
from vcviz.records import LatentPlane, Split

#: values of the slider over masks beside the numbers of single masks
MEAN, EXPECTED = "mean", "expected"


class DropMaxExplorer(Explorer):
    """Inputs of a DropMax run, their retain probabilities, and the sub-classifiers of their masks.

    The masks of an input are drawn from its rho. Under one of them the softmax runs over the
    retained classes alone, everywhere in the plane; the ensemble is the mean over masks.

    Parameters
    ----------
    run : a `Run` with the head ``dropmax``
    split : "test" or "train", the rows to choose from
    data : the rows behind the latents; default what the run loads again
    samples : inputs along the slider, from the hardest (lowest p(y|x)) to the easiest, closer
        together among the hard ones
    masks : masks drawn for each input, with the same uniform noise for all inputs
    size : points of the plane along an axis
    max_points : most latents drawn
    seed : of the masks
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control: ``sample`` (a row of the latents) and ``mask`` (a number from 1,
        "mean" over all, or "expected": rho in place of the mask, as in a plain prediction)
    view, widget : the live figure; controls and figure

    Notes
    -----
    Where D > 2 the plane is that of the latents' PCA, moved to go through the input.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="dropmax", epochs=2, progress=False)
    >>> explorer = vcviz.DropMaxExplorer(run, samples=5, masks=4)
    >>> row = explorer.controls["sample"].value
    >>> explorer.masks(row).shape
    (4, 5)
    """

    def __init__(
        self,
        run: Any,
        *,
        split: str = "test",
        data: Split | None = None,
        samples: int = 40,
        masks: int = 12,
        size: int = 128,
        max_points: int = 300,
        seed: int = 0,
        theme: style.Theme = "auto",
    ) -> None:
        from vcviz.latents.retain import retain_set

        self._theme, self._max_points = theme, check_count("max_points", max_points)
        self._model, self._latents = run.model(), run.latents(split)
        if self._latents.latent_dim < 2:
            raise InputError(
                "the explorer draws a plane: it needs latents of at least 2 dimensions"
            )
        self._retained = retain_set(self._model, self._latents)
        self._data = run.split(split) if data is None else data
        n = check_count("masks", masks)
        self._noise = np.random.default_rng(seed).random((n, self._latents.n_classes))
        method = "pair" if self._latents.latent_dim == 2 else "pca"
        self._projection = fit_projection(self._latents, method=method)  # type: ignore[arg-type]
        self._points = self._projection(self._latents.z)
        check_count("size", size, minimum=2)
        x, y = (np.linspace(*ends, size) for ends in latent_ranges(self._points))
        self._axes = x, y
        inputs, first = self._inputs(check_count("samples", samples))
        numbers = [(str(i), i) for i in range(1, n + 1)]
        kinds = [*numbers, (f"mean of {n}", MEAN), ("ρ itself", EXPECTED)]
        wide = {"flex": "1 1 420px", "max_width": "760px"}
        super().__init__(
            self._draw,
            [
                Control("mask", steps("Mask", kinds, 1, flex="1 1 auto"), play=400),
                Control("sample", steps("Input, hardest first", inputs, first, **wide)),
            ],
            slider="mask",
        )

    def masks(self, row: int) -> NDArray[np.bool_]:
        """Return (S, C) the masks of a row of the latents, True where a class is retained."""
        return self._noise < self._retained.rho[row]

    def figure(self, *, samples: int = 5) -> go.Figure:
        """Return one static figure with a slider over the masks and a list of `samples` inputs."""
        values = [value for _, value in self.controls["sample"].options]
        rows = np.linspace(0, len(values) - 1, min(samples, len(values))).round().astype(int)
        chosen = [values[i] for i in rows]
        shown = self.controls["sample"].value
        if shown not in chosen:
            nearest = min(range(len(chosen)), key=lambda i: abs(int(rows[i]) - values.index(shown)))
            chosen[nearest] = shown
        return self.bound.figure(menus={"sample": chosen})

    def _inputs(self, samples: int) -> tuple[list[tuple[str, int]], int]:
        """Return titles and rows of inputs, hardest first, and the row to start with."""
        order = np.argsort(-self._retained.difficulty, kind="stable")
        ranks = np.geomspace(1, len(order), min(samples, len(order))).round().astype(int) - 1
        rows = order[np.unique(ranks)]
        probability = np.exp(-self._retained.difficulty[rows])
        titles = [
            (f"{self._title(r)}, p(y|x) = {p:.2f}", int(r))
            for r, p in zip(rows, probability, strict=True)
        ]
        # A hard input that is not lost: its masks disagree.
        return titles, int(rows[np.abs(probability - 0.6).argmin()])

    def _title(self, row: int) -> str:
        lat = self._latents
        return f"row {lat.index[row]}: {lat.class_names[lat.y[row]]}"

    def _draw(self, *, mask: Any, sample: int) -> dict[str, Any]:
        lat, masks = self._latents, self.masks(sample)
        kept: NDArray[np.bool_] | None = None
        grid: NDArray[Any]
        if mask == EXPECTED:
            grid, probs = self._under_rho(sample), np.exp(lat.log_probs[sample])
            caption = "ρ in place of the mask"
        else:
            every, here = self._under_masks(sample)
            chosen = slice(None) if mask == MEAN else slice(mask - 1, mask)
            grid, probs = _mean(every[chosen]), np.exp(_mean(here[chosen]))
            caption = f"mean of {len(masks)} masks"
            if mask != MEAN:
                kept = masks[mask - 1]
                caption = f"mask {mask} retains {self._listed(kept)}"
        side = len(self._axes[0])
        view = MaskView(
            plane=LatentPlane(
                grid.astype(np.float32).reshape(side, side, -1),
                *self._axes,
                lat,
                self._projection,
                name=lat.name,
                label_prior=lat.label_prior,
            ),
            point=self._points[sample],
            label=int(lat.y[sample]),
            rho=self._retained.rho[sample],
            mask=kept,
            probs=probs,
            expected=np.exp(lat.log_probs[sample]),
            title=self._title(sample),
            caption=caption,
            picture=self._picture(sample),
        )
        return style.themed(mask_spec(view, max_points=self._max_points), self._theme)

    def _listed(self, kept: NDArray[np.bool_]) -> str:
        names = [self._latents.class_names[k] for k in np.flatnonzero(kept)]
        return ", ".join(names) if names else "none, which counts as all"

    def _plane(self, row: int) -> NDArray[np.float64]:
        return plane_latents(self._projection, *self._axes, through=self._latents.z[row])

    @cached_method()
    def _under_masks(self, row: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (S, G, C) and (S, C) log p(y|z, m) over the plane and at the input."""
        from vcviz.latents.retain import masked_log_probs

        masks = self.masks(row)
        here = masked_log_probs(self._model, self._latents.z[row : row + 1], masks)[:, 0]
        return masked_log_probs(self._model, self._plane(row), masks), here

    @cached_method()
    def _under_rho(self, row: int) -> NDArray[np.float32]:
        from vcviz.latents.planes import latent_log_probs

        return latent_log_probs(self._model, self._plane(row))

    def _picture(self, row: int) -> NDArray[np.floating[Any]] | None:
        if self._data.kind != "image":
            return None
        x = self._data.x[self._latents.index[row]]
        return x / 255 if x.dtype == np.uint8 else x


def _mean(log_probs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the log of the mean over the first axis of probabilities."""
    with np.errstate(divide="ignore"):
        return np.log(np.exp(log_probs.astype(np.float64)).mean(0))
