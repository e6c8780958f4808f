"""Accuracy and calibration of a classifier against the radius of an attack."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm.auto import tqdm

from vcviz.attacks import as_inputs, look
from vcviz.attacks.options import Plan, check_loss, planned
from vcviz.attacks.search import Search
from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_count, check_flag
from vcviz.latents.adapter import reading
from vcviz.latents.modules import label_prior_of
from vcviz.metrics.calibration import reliability_curve
from vcviz.metrics.robustness import wilson
from vcviz.metrics.robustness.gates import checked
from vcviz.records import RobustnessCurve, Split, as_array, label_note

#: radii of images in [0, 1] and standardised tables where nobody names others
EPSILONS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2)


def robustness_curve(
    model: nn.Module | Any,
    split: Split | None = None,
    epsilons: Sequence[float] = EPSILONS,
    *,
    method: str = "pgd",
    norm: str = "linf",
    loss: str = "ce",
    steps: int = 40,
    random_start: bool = False,
    calibration: bool = True,
    descend: bool = False,
    n_bins: int = 15,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 1,
    batch_size: int = 256,
    layer: str | None = None,
    device: torch.device | str | None = None,
    name: str | None = None,
    progress: bool = True,
    report: Callable[[int, int], None] | None = None,
    **more: Any,
) -> RobustnessCurve:
    """Return accuracy and calibration error against the radius of an attack.

    A ball holds every smaller one, so whatever was found at a smaller radius counts at a larger
    one too: of each input the worst point found so far is kept (misread before rightly read, then
    by the loss, over all steps of all attacks), and accuracy and calibration error at a radius
    are those of these points. Accuracy is thus exactly the share of inputs that none of the
    attacks broke, which never rises with the radius, and bounds the true robust accuracy from
    above.

    Parameters
    ----------
    model : a classifier as for `vcviz.attack`; or a run, whose `robustness` is then called
    split : inputs; for a run leave it out and say ``n=`` (first rows of its test split)
    epsilons : radii above 0 in any order; 0, the clean inputs, is always added
    method, norm, loss, steps, random_start, seed, draws : of each attack, as for `vcviz.attack`
    calibration : follow the calibration error too, for which every input is attacked at every
        radius for all steps. If False an input is left alone as soon as it is misread, at this
        and all larger radii: the same accuracies, two to five times faster.
    descend : with calibration=False, begin at the largest radius instead, and take an input that
        holds in a ball to hold in those inside of it, which is so if the attack does not find in a
        small ball what it misses in a large one (the gate "a larger ε never helps" of a curve with
        calibration); faster still
    n_bins, resamples : of the calibration error, see `vcviz.reliability_curve`
    level : mass of the intervals
    batch_size, layer, device, progress, report : as for `vcviz.attack`
    name : shown in legends; default the split's

    Notes
    -----
    For a model whose output varies every input is attacked at every radius, so that each keeps its
    noise, and the points chosen are read once more with noise that played no part in the choice:
    otherwise the luckiest of many draws would count as a success of the attack.

    Raises
    ------
    InputError
        As `vcviz.attack` does.
    """
    options = {
        "method": method, "norm": norm, "loss": loss, "steps": steps, "draws": draws, "seed": seed,
    }  # fmt: skip
    shared = options | {
        "random_start": random_start, "calibration": calibration, "descend": descend,
        "n_bins": n_bins,
        "resamples": resamples, "level": level, "batch_size": batch_size, "progress": progress,
        "report": report,
    }  # fmt: skip
    if not isinstance(model, nn.Module) and hasattr(model, "robustness"):
        if split is not None:
            raise InputError("a run has rows of its own: leave the split out and say n=")
        given = {"layer": layer, "device": device, "name": name}
        given = {option: value for option, value in given.items() if value is not None}
        return model.robustness(epsilons=epsilons, **shared, **given, **more)
    if more:
        raise InputError(f"{next(iter(more))} is for runs; a model takes a split")
    check_count("batch_size", batch_size)
    check_flag("calibration", calibration)
    if check_flag("descend", descend) and calibration:
        raise InputError("descend leaves inputs out; it goes with calibration=False")
    plans = _plans(split, epsilons, options)
    assert isinstance(split, Split)
    x = as_inputs(split)
    total = len(plans) * math.ceil(len(split) / batch_size) * plans[0].steps
    with (
        reading(model, layer=layer, device=device, strict=False) as read,
        tqdm(total=total, unit=" steps", desc=method, delay=2, disable=not progress) as bar,
        torch.inference_mode(False),
    ):
        names, spread = look(read, x, split, seed)
        check_loss(plans[0], len(names))
        search = Search(read, x, split.y, stochastic=spread > 0, batch_size=batch_size, seed=seed)
        everyone = calibration or spread > 0
        down = descend and not everyone
        told = [search.log_probs]
        for k, plan in enumerate(reversed(plans) if down else plans):
            rows = None if everyone else search.open(plan, down)

            def tick(part: float, k: int = k) -> None:
                bar.update(round((k + part) * total / len(plans)) - bar.n)
                if report is not None:
                    report(round((k + part) * total / len(plans)), total)

            search.attack(plan, rows, random_start=random_start, tick=tick)
            told.append(search.log_probs)
        identity = search.identity(plans[-1])
    radii = np.array([0.0, *(plan.epsilon for plan in plans)])
    if down:
        search.settle(radii)
        # What was found at a larger radius says nothing of the worst points at a smaller.
        told = told[:1] * len(radii)
        accuracy = (search.fell_at > radii[:, None]).mean(1)
    else:
        accuracy = np.array([(p.argmax(1) == split.y).mean() for p in told])
    return _record(
        radii,
        accuracy,
        told,
        split,
        search,
        identity=identity,
        spread=spread,
        plan=plans[0],
        draws=plans[0].draws * read.draws,
        calibration=calibration,
        everyone=everyone,
        name=split.name if name is None else name,
        level=level,
        n_bins=n_bins,
        resamples=resamples,
        prior=label_prior_of(model),
    )


# ---------------------------------------------------------------- parts


def _plans(split: Any, epsilons: Sequence[float], options: dict[str, Any]) -> list[Plan]:
    """Return the options of the attack at each radius above 0, ascending."""
    radii = as_array("epsilons", epsilons)
    if radii.ndim != 1 or radii.dtype.kind not in "fiu":
        raise InputError(f"epsilons must be a list of radii, got {clip(epsilons)}")
    plans = [
        planned(split, epsilon=e, step_size=None, targeted=False, **options) for e in radii.tolist()
    ]
    found = sorted({plan.epsilon: plan for plan in plans if plan.epsilon > 0}.items())
    if not found:
        raise InputError("epsilons must hold at least one radius above 0; 0 is always added")
    return [plan for _, plan in found]


def _record(
    radii: NDArray[np.float64],
    accuracy: NDArray[np.float64],
    told: Sequence[NDArray[np.float32]],
    split: Split,
    search: Search,
    *,
    identity: float,
    spread: float,
    plan: Plan,
    draws: int,
    calibration: bool,
    everyone: bool,
    name: str,
    level: float,
    n_bins: int,
    resamples: int,
    prior: NDArray[np.float64] | None,
) -> RobustnessCurve:
    n = len(split)
    blank = np.full(len(radii), np.nan)
    ece, ece_interval, expected = blank, np.stack([blank, blank], axis=1), blank
    if calibration:
        found = [
            reliability_curve(
                log_probs,
                split.y,
                n_bins=n_bins,
                resamples=resamples,
                level=level,
                seed=plan.seed,
            )
            for log_probs in told
        ]
        ece = np.array([c.ece for c in found])
        ece_interval = np.array([c.ece_interval for c in found])
        expected = np.array([c.ece_if_calibrated for c in found])
    alone = np.array([accuracy[0], *search.alone]) if everyone else blank
    sums = [np.exp(log_probs.astype(np.float64)).sum(1) for log_probs in told]
    gates = checked(
        identity=identity,
        ball=search.farthest,
        reach=search.reach if plan.image else None,
        still=float((~search.moved)[search.tried].mean()) if search.tried.any() else None,
        fell=float((~search.rose)[search.tried].mean()) if search.tried.any() else None,
        steps=max(search.lost) if everyone else None,
        larger=float(np.diff(alone).max()) if everyone else None,
        noise=spread,
        draws=draws,
        output=float(np.abs(np.concatenate(sums) - 1).max()),
        n=n,
    )
    return RobustnessCurve(
        epsilon=radii,
        accuracy=accuracy,
        accuracy_interval=wilson(accuracy, n, level),
        ece=ece,
        ece_interval=ece_interval,
        ece_if_calibrated=expected,
        alone=alone,
        fell_at=search.fell_at,
        gates=gates,
        norm=plan.norm,
        method=plan.method,
        loss=plan.loss,
        steps=plan.steps,
        name=name,
        level=level,
        n_bins=n_bins,
        label_note=label_note(prior, split.y),
    )
