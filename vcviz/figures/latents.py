"""Latents of each class with the law that the head anticipates and the law that they follow."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from vcviz.base.arguments import takes_records
from vcviz.figures import theme as style
from vcviz.figures.latent_panel import LatentOptions, LatentPanel
from vcviz.figures.latent_spec import latent_spec
from vcviz.records import LatentPrior, LatentSet, Projection


@takes_records
def plot_latents(
    lat: LatentSet,
    prior: LatentPrior | None = None,
    *,
    projection: Projection | None = None,
    anticipated: bool = True,
    empirical: bool = True,
    mass: Sequence[float] = (0.5, 0.9),
    classes: Sequence[int] | None = None,
    color: str = "class",
    max_points: int = 5000,
    title: str | None = None,
    hover: Sequence[str] | None = None,
    theme: style.Theme = "auto",
    seed: int = 0,
) -> go.Figure:
    """Return the latents in a plane with what the head anticipates (solid) and gets (dashed).

    Parameters
    ----------
    lat : N latents of D dimensions with their predictions
    prior : p(z|y); None draws the latents alone
    projection : map to two dimensions; default the two axes if D = 2, otherwise PCA
    anticipated, empirical : draw outlines of p(z|y), of q(z|y)
    mass : share of each class that an outline encloses, one outline each
    classes : class indices to show; default all, of more than 24 the 12 that fit the law worst
        (moment KL less its bias), or without a law are confused most. The others are grey
    color : what points are coloured by: "class", or a number of each row such as "confidence",
        "entropy", "log_density" or "own:" and the name of a column, see
        `vcviz.metrics.row_values`; markers still say the class
    max_points : draw a stratified sample (by `seed`) of this size if N is larger, and say so
    title : heading; default the name of `lat`
    hover : N strings shown, as text, when pointing at a sample
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background
    seed : of that sample

    Returns
    -------
    go.Figure
        ``trace.meta["layer"]`` says what a trace shows: points, anticipated, empirical, …

    Raises
    ------
    InputError
        If classes or dimensions of latents and law differ, or an option is unknown.

    Notes
    -----
    A ring marks a misclassified sample, a cross the mean of a law. Both axes have the same scale;
    their ranges leave out the outermost 0.5 % at each end, and the figure says how many points
    that hides.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> figure = vcviz.plot_latents(run.latents(), run.prior(), mass=(0.9,))
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['anticipated', 'empirical', 'key', 'points']
    """
    options = LatentOptions(
        anticipated=anticipated,
        empirical=empirical,
        mass=mass,
        classes=classes,
        color=color,
        max_points=max_points,
        seed=seed,
    )
    panel = LatentPanel(lat, prior, projection, title=title, texts=hover)
    return plot_latent_panels([panel], options, theme=theme)


@takes_records
def plot_latent_panels(
    panels: Sequence[LatentPanel],
    options: LatentOptions | None = None,
    *,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return several sets of latents side by side, with one legend.

    Parameters
    ----------
    panels : one each, all with the same class names
    options : what is drawn of each; default `LatentOptions()`
    theme : as for `plot_latents`

    Raises
    ------
    InputError
        If there is no panel, class names differ, or a class index is out of range.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> Panel = vcviz.figures.LatentPanel
    >>> panels = [Panel(run.latents(epoch=e), run.prior(e), title=f"epoch {e}") for e in (0, 3)]
    >>> figure = vcviz.figures.plot_latent_panels(panels)
    >>> [note.text.partition("<br>")[0] for note in figure.layout.annotations]
    ['<b>epoch 0</b>', '<b>epoch 3</b>']
    """
    return style.apply(go.Figure(**latent_spec(panels, options or LatentOptions())), theme)
