"""The path of an attack through the latents, and what it does to p(y|x) and p(z|y) on the way."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from vcviz.base.arguments import takes_records
from vcviz.figures import theme as style
from vcviz.figures.trajectory_scene import Scene
from vcviz.records import LatentPrior, Projection, Trajectory


@takes_records
def plot_trajectory(
    path: Trajectory,
    prior: LatentPrior | None = None,
    *,
    projection: Projection | None = None,
    samples: Sequence[int] | None = None,
    step: int | None = None,
    focus: int | None = None,
    mass: Sequence[float] = (0.9,),
    pictures: bool = True,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return an attack's paths over the anticipated law, with a slider over its steps.

    Parameters
    ----------
    path : N inputs under attack, T steps
    prior : p(z|y), drawn as outlines; with it log p(z|y) is followed too
    projection : map to two dimensions; default the two axes if D = 2, otherwise PCA of all steps
    samples : rows of `path` to draw; default twelve, over the classes in turn, first those that
        were right before the attack
    step : where the slider starts; default the last step
    focus : the sample that is followed at first; default the first that flips
    mass : share of each class that an outline encloses, one or several; the support of a class
        holds the first
    pictures : for images, show inputs before and after and their difference
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Returns
    -------
    go.Figure
        With a slider over the T + 1 steps.

    Raises
    ------
    InputError
        If classes or dimensions of path and law differ, or a row or step does not exist.

    Notes
    -----
    Colours are those of the true class. A small dot is where a path starts, a cross where the
    prediction first is not the label, a ring a misclassified sample at the slider's step. Thin
    curves are the drawn samples; the thick grey one is the median of all N, the thick coloured one
    the input that is followed beneath: what is done to it, and its class probabilities. Above stand
    the sanity gates, and when paths leave the support of their class.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> path = run.attack(rows=20, epsilon=2.0, steps=3, progress=False)
    >>> figure = vcviz.plot_trajectory(path, run.prior(), samples=[0, 1])
    >>> [step.label for step in figure.layout.sliders[0].steps]
    ['0', '1', '2', '3']
    """
    scene = Scene(path, prior, projection=projection, samples=samples, mass=mass, pictures=pictures)
    return scene.figure(path.steps if step is None else step, focus, theme)
