"""Latents in three dimensions with ellipsoids of what is anticipated and of what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.classes import Chosen, chosen_classes, labels, shown_note
from vcviz.figures.latent_panel import checked_classes, stratified
from vcviz.figures.marks import Trace
from vcviz.geometry import fit_projection
from vcviz.geometry.ellipsoids import Ellipsoid, empirical_ellipsoids, law_ellipsoids
from vcviz.records import LatentPrior, LatentSet, Projection

#: markers that every font has, which plotly takes them from in three dimensions
SYMBOLS = ("circle", "square", "diamond", "square-open", "diamond-open")
_GRID = "#9A9A9A"


@takes_records
def plot_latents_3d(
    lat: LatentSet,
    prior: LatentPrior | None = None,
    *,
    projection: Projection | None = None,
    anticipated: bool = True,
    empirical: bool = False,
    mass: float = 0.9,
    classes: Sequence[int] | None = None,
    max_points: int = 3000,
    title: str | None = None,
    theme: style.Theme = "auto",
    seed: int = 0,
) -> go.Figure:
    """Return the latents in three dimensions, which can be turned by hand.

    Parameters
    ----------
    lat : latents of at least 3 dimensions, unless `projection` says otherwise
    prior : p(z|y); None draws the latents alone
    projection : map to three axes; default the axes themselves if D = 3, otherwise PCA
    anticipated : draw wires around the regions that hold `mass` of p(z|y)
    empirical : draw transparent ellipsoids that hold `mass` of the latents of each class
    mass : share inside
    classes : class indices to show; default all
    max_points : draw a stratified sample (by `seed`) of this size if N is larger, and say so
    title : heading; default the name of `lat`
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background
    seed : of that sample

    Raises
    ------
    InputError
        If classes or dimensions of latents and law differ, or the map has not three axes.

    Notes
    -----
    A ring marks a misclassified sample. A Gaussian or Student-t law is exact; of any other the
    ellipsoid has the covariance of draws and holds `mass` of them. All axes have the same scale.

    Examples
    --------
    >>> settings = {"head": "gaussian_mixture", "latent_dim": 3, "epochs": 2}
    >>> run = vcviz.train("mixture", **settings, progress=False)
    >>> figure = vcviz.figures.plot_latents_3d(run.latents(), run.prior())
    >>> sorted({trace.type for trace in figure.data})
    ['scatter3d']
    """
    if projection is None:
        if lat.latent_dim < 3:
            raise InputError(
                f"three dimensions are more than the latents have ({lat.latent_dim}); "
                "use plot_latents"
            )
        method: Any = "pair" if lat.latent_dim == 3 else "pca"
        dims = (0, 1, 2)
        projection = fit_projection(lat, method=method, dims=dims, prior=prior, n_components=3)
    if len(projection.labels) != 3:
        raise InputError(f"projection must have three axes, got {len(projection.labels)}")
    chosen = chosen_classes(lat, prior) if classes is None else Chosen(tuple(classes))
    shown = checked_classes(chosen.classes, lat.n_classes)
    rows = stratified(lat.y, shown, max_points, seed)
    points = projection(lat.z[rows])
    data = [_points(lat, points, rows, k) for k in shown]
    notes = [style.accuracy_text(lat), *shown_note(len(shown), lat.n_classes, chosen.rule)]
    if prior is not None and anticipated:
        wires = law_ellipsoids(prior, projection, mass, seed=seed)
        data += [_wire(one, lat) for one in wires if one.label in shown]
        line = {"color": style.NEUTRAL, "width": 2}
        data.append(_key(f"{mass:.0%} of p(z|y)", mode="lines", line=line))
    if empirical:
        hulls = empirical_ellipsoids(projection(lat.z), lat.y, lat.n_classes, mass)
        data += [_hull(one, lat) for one in hulls if one.label in shown]
        marker = {"color": style.NEUTRAL, "symbol": "circle", "size": 9, "opacity": 0.4}
        data.append(_key(f"{mass:.0%} of q(z|y)", mode="markers", marker=marker))
    data.append(_rings(lat, points, rows))
    of_shown = int(np.isin(lat.y, shown).sum())
    if len(rows) < of_shown:
        notes.append(f"{len(rows):,} of {of_shown:,} points drawn")
    small = "<br><span style='font-size:12px'>" + " · ".join(notes) + "</span>"
    heading = f"<b>{style.escape(lat.name if title is None else title, 80)}</b>{small}"
    layout = {
        "scene": {"aspectmode": "data"} | _axes(projection.labels, theme),
        "title": {"text": heading, "font": {"size": 13}},
        "legend": {"itemsizing": "constant"},
        "height": 640,
        "width": 820,
        "margin": {"t": 62, "b": 10, "l": 10, "r": 10},
    }
    return style.apply(go.Figure(data, layout), theme)


def _axes(labels: Sequence[str], theme: style.Theme) -> dict[str, Any]:
    plain = {"showbackground": False, "gridcolor": _GRID, "zeroline": False}
    plain |= {"color": style.ink(theme), "linecolor": _GRID, "showspikes": False}
    return {
        f"{axis}axis": plain | {"title": {"text": style.escape(label, 60)}}
        for axis, label in zip("xyz", labels, strict=True)
    }


def _scatter(points: NDArray[np.float64], layer: str, **more: Any) -> Trace:
    x, y, z = np.asarray(points, np.float32).T
    return {"type": "scatter3d", "x": x, "y": y, "z": z, "meta": {"layer": layer}} | more


def _points(lat: LatentSet, points: NDArray[np.float64], rows: NDArray[np.int64], k: int) -> Trace:
    of_class = lat.y[rows] == k
    mine = rows[of_class]
    predicted = lat.log_probs[mine].argmax(1)
    probability = np.exp(lat.log_probs[mine, predicted])
    own = ["".join(f"<br>{style.escape(line, 160)}" for line in lat.details(int(i))) for i in mine]
    more = {} if lat.table is None else {"hovertext": own}
    return _scatter(
        points[of_class],
        "points",
        mode="markers",
        marker={
            "color": style.class_color(k),
            "symbol": SYMBOLS[k % len(SYMBOLS)],
            "size": 3.2,
            "opacity": 0.75,
        },
        name=labels(lat.class_names, 28)[k],
        legendgroup=f"class {k}",
        customdata=np.column_stack([lat.index[mine], probability]),
        text=[style.escape(lat.class_names[c], 40) for c in predicted],
        hovertemplate=(
            "<b>%{fullData.name}</b> · row %{customdata[0]:d}"
            "<br>predicted %{text}, p = %{customdata[1]:.3f}"
            + ("%{hovertext}" if more else "")
            + "<extra></extra>"
        ),
        **more,
    )


def _rings(lat: LatentSet, points: NDArray[np.float64], rows: NDArray[np.int64]) -> Trace:
    wrong = lat.log_probs[rows].argmax(1) != lat.y[rows]
    return _scatter(
        points[wrong],
        "misclassified",
        mode="markers",
        marker={"color": style.NEUTRAL, "symbol": "circle-open", "size": 7},
        name="misclassified",
        hoverinfo="skip",
    )


def _wire(one: Ellipsoid, lat: LatentSet) -> Trace:
    line = {"color": style.class_color(one.label), "width": 2}
    return _scatter(one.wire(), "anticipated", mode="lines", line=line) | _named(one, lat)


def _hull(one: Ellipsoid, lat: LatentSet) -> Trace:
    points, triangles = one.surface()
    corners = dict(zip("ijk", triangles.T.astype(np.int32), strict=True))
    looks = {"type": "mesh3d", "color": style.class_color(one.label), "opacity": 0.22}
    return _scatter(points, "empirical") | looks | corners | _named(one, lat)


def _named(one: Ellipsoid, lat: LatentSet) -> Trace:
    return {
        "name": labels(lat.class_names, 28)[one.label],
        "legendgroup": f"class {one.label}",
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _key(name: str, **looks: Any) -> Trace:
    nowhere = np.full((1, 3), np.nan)
    return _scatter(nowhere, "key", name=name.replace("%", " %"), hoverinfo="skip", **looks)
