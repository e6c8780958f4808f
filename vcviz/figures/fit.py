"""How well the anticipated law describes the latents, class by class, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError, unknown
from vcviz.figures import theme as style
from vcviz.figures.classes import Places, class_places, labels
from vcviz.figures.fit_panel import bias_trace
from vcviz.figures.grid import legend_above
from vcviz.figures.marks import error_bars
from vcviz.records import LatentFit

Statistic = Literal["kl", "energy", "auc", "whitened_variance"]


@dataclass(frozen=True)
class _Scale:
    title: str
    unit: str
    ideal: float
    log: bool


_SCALES = {
    "kl": _Scale("KL of the latents from p(z|y), nats", " nats", 0.0, True),
    "energy": _Scale("energy distance of whitened latents (no unit)", "", 0.0, True),
    "auc": _Scale("AUC, latents against draws of p(z|y), fraction", "", 0.5, False),
    "whitened_variance": _Scale("variance of whitened latents (no unit)", "", 1.0, True),
}
_SPREAD = 0.6  # of the space of a class, shared by its fits


@takes_records
def plot_latent_fit(
    fits: LatentFit | Sequence[LatentFit],
    *,
    statistic: Statistic = "kl",
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return a statistic of the fit of each class, with its interval.

    Parameters
    ----------
    fits : one fit (classes in their colours), or several with the same classes (a colour each)
    statistic : "kl" (nats), "energy", "auc" or "whitened_variance"; `LatentFit` says what each is
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If the classes of the fits differ, or `statistic` or `theme` is unknown.

    Notes
    -----
    The line marks the value of latents that follow p(z|y) exactly. A log axis, used when values
    span more than a factor of thirty, cannot show 0: the figure then says so.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> fit = vcviz.latent_fit(run.latents(), run.prior(), resamples=0)
    >>> figure = vcviz.plot_latent_fit(fit, statistic="kl")
    >>> figure.layout.yaxis.title.text
    'KL of the latents from p(z|y), nats'
    """
    if statistic not in _SCALES:
        raise unknown("statistic", statistic, _SCALES)
    fits = one_or_several("fits", fits)
    for fit in fits[1:]:
        if fit.class_names != fits[0].class_names:
            raise InputError(
                f"fits in one figure must have the same classes; {fits[0].name!r} and "
                f"{fit.name!r} differ"
            )
    scale, names = _SCALES[statistic], fits[0].class_names
    at = class_places(names, np.sum([_badness(fit, statistic) for fit in fits], axis=0))
    data = [_dots(fit, i, len(fits), statistic, scale, at) for i, fit in enumerate(fits)]
    positive = np.concatenate([np.asarray(t["y"], float) for t in data])
    positive = positive[np.isfinite(positive) & (positive > 0)]
    wide = len(positive) > 0 and positive.max() > 30 * positive.min()
    log = scale.log and (wide or scale.ideal > 0)
    low = float(positive.min()) / 3 if len(positive) else 0.1
    layout: dict[str, Any] = {
        "height": 380,
        "xaxis": at.axis,
        "yaxis": {"title": {"text": scale.title}, "type": "log" if log else "linear"},
        "legend": legend_above(1.02),
        "annotations": [],
        "shapes": [],
    }
    if log:
        tops = np.concatenate([t["y"] + np.nan_to_num(t["error_y"]["array"]) for t in data])
        high = float(tops[np.isfinite(tops)].max(initial=10 * low))
        high, low = max(high, scale.ideal) * 1.6, min(low, scale.ideal or low)
        layout["yaxis"] |= {"range": [float(np.log10(low)), float(np.log10(high))]}
        layout["yaxis"] |= {"tickformat": ",~g", "dtick": 1 if high > 300 * low else "D2"}
    elif scale.ideal == 0:
        layout["yaxis"]["rangemode"] = "tozero"
    _mark_ideal(layout, scale, log)
    if statistic == "kl":
        x, known = at.x[at.named], [fit for fit in fits if np.isfinite(fit.kl_bias).any()]
        name = {"name": "if p(z|y) holds, for so few rows"}
        data += [bias_trace(x, fit.kl_bias[at.named], size=12) | name for fit in known[:1]]
    if lines := _left_out(fits, statistic):  # above the legend, which stands above the ∞
        top = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": 1}
        looks = {"yanchor": "bottom", "align": "left", "showarrow": False, "yshift": 52}
        layout["annotations"].append(top | looks | {"text": "<br>".join(lines)})
        layout |= {"height": 390 + 17 * len(lines), "margin": {"t": 66 + 17 * len(lines)}}
        layout["legend"]["y"] = 1.07
    endless = sum((np.isinf(getattr(fit, statistic)) & at.named for fit in fits), np.zeros(1, bool))
    for k in np.flatnonzero(endless):
        edge = {"x": float(at.x[k]), "y": 1, "yref": "paper", "yanchor": "bottom", "text": "∞"}
        font = {"size": 14, "color": style.class_color(int(k))}
        layout["annotations"].append(edge | {"showarrow": False, "font": font})
    return style.apply(go.Figure(data, layout), theme)


def _badness(fit: LatentFit, statistic: str) -> NDArray[np.float64]:
    """Return (C,) how far each class is from the law, higher for farther, in no unit."""
    values = np.asarray(getattr(fit, statistic), np.float64)
    if statistic == "kl":
        return values - np.nan_to_num(fit.kl_bias)
    if statistic == "energy":
        return values
    if statistic == "auc":
        return np.abs(values - 0.5)
    return np.abs(np.log(np.maximum(values, 1e-300)))


def _left_out(fits: Sequence[LatentFit], statistic: str) -> list[str]:
    """Return lines about what is left out, infinite or not there."""
    values = np.array([getattr(fit, statistic) for fit in fits])
    found = []
    if endless := int(np.isinf(values).sum()):
        found.append(f"{endless} infinite (∞): constant in a dimension; hollow: in the others")
    if unknown := int(np.isnan(values).sum()):
        found.append(f"{unknown} unknown: too few rows")
    if left := max(fit.left_out for fit in fits):
        found.append(
            f"{left} dimension{'s' if left > 1 else ''} left out, in which no class varies"
        )
    return found


def _dots(
    fit: LatentFit, i: int, n: int, statistic: str, scale: _Scale, at: Places
) -> dict[str, Any]:
    values = np.asarray(getattr(fit, statistic), np.float64)
    endless = np.isinf(values)
    if statistic == "kl":
        values = np.where(endless, fit.kl_varying, values)
    interval: NDArray[np.float64] = np.asarray(
        getattr(fit, f"{statistic}_interval", np.column_stack([values, values])), np.float64
    )
    hollow = ["-open" if one else "" for one in endless]
    classes, named = range(len(values)), at.named
    interval = np.where(named[:, None], interval, np.nan)
    color, _, symbol = style.run_style(i)
    alone = n == 1
    shift = 0.0 if alone else _SPREAD * (i / (n - 1) - 0.5)
    custom = np.column_stack([interval, fit.count])
    low, high = interval.T
    return {
        "type": "scatter",
        "x": at.x + np.where(named, shift, 0),
        "y": values,
        "mode": "markers",
        "marker": {
            "color": [style.class_color(k) if named[k] else style.NEUTRAL for k in classes]
            if alone
            else color,
            "symbol": [(style.class_symbol(k) if alone else symbol) + hollow[k] for k in classes],
            "size": 9 if named.all() else np.where(named, 9, 3).tolist(),
        },
        "error_y": error_bars(
            np.maximum(high - values, 0),
            np.maximum(values - low, 0),
            color=style.NEUTRAL if alone else color,
            thickness=1.4,
            width=4,
        ),
        "name": f"{style.escape(fit.name, 40)}, mean {fit.mean(statistic):.3g}{scale.unit}",
        "showlegend": True,
        "text": labels(fit.class_names, 40),
        "customdata": custom,
        "hovertemplate": (
            f"<b>%{{text}}</b><br>%{{y:.3g}}{scale.unit} "
            f"[%{{customdata[0]:.3g}}, %{{customdata[1]:.3g}}], {fit.level:.0%}"
            "<br>%{customdata[2]:,d} samples<extra></extra>"
        ),
    }


def _mark_ideal(layout: dict[str, Any], scale: _Scale, log: bool) -> None:
    if log and scale.ideal <= 0:
        # Beneath the axis: bars that reach down to 0 fill all of the figure's foot.
        named = layout["xaxis"]["title"]["text"]
        text = f"{named}<br>↓ as anticipated: {scale.ideal:g}, below any log axis"
        layout["xaxis"] = layout["xaxis"] | {"title": {"text": text}}
        return
    layout["shapes"].append(
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": scale.ideal,
            "y1": scale.ideal,
            "line": {"color": style.NEUTRAL, "width": 1.4, "dash": "dot"},
        }
    )
    at = float(np.log10(scale.ideal)) if log else scale.ideal
    note = {"xref": "paper", "x": 1, "xanchor": "right", "showarrow": False}
    layout["annotations"].append(note | {"text": "as anticipated", "y": at, "yanchor": "bottom"})
