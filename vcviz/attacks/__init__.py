"""Attacks on the input that keep every step of the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from vcviz.attacks.ball import start_in_ball
from vcviz.attacks.options import LOSSES as LOSSES
from vcviz.attacks.options import METHODS as METHODS
from vcviz.attacks.options import NORMS as NORMS
from vcviz.attacks.options import Plan, check_loss, goals, planned
from vcviz.attacks.steps import Step, noise, walk
from vcviz.base.options import check_count
from vcviz.latents.adapter import Reader, reading
from vcviz.latents.extraction import class_names, to_numpy
from vcviz.latents.modules import label_prior_of
from vcviz.records import Split, Trajectory, as_labels


def attack(
    model: nn.Module,
    split: Split,
    *,
    method: Literal["pgd", "fgsm", "apgd"] = "pgd",
    norm: Literal["linf", "l2"] = "linf",
    loss: Literal["ce", "dlr"] = "ce",
    epsilon: float = 0.1,
    steps: int = 40,
    step_size: float | None = None,
    random_start: bool = False,
    targeted: ArrayLike | str | None = None,
    seed: int = 0,
    draws: int = 1,
    keep_inputs: bool = False,
    checks: int = 0,
    batch_size: int = 256,
    layer: str | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
    report: Callable[[int, int], None] | None = None,
) -> Trajectory:
    r"""Return the path of an attack that raises the model's own loss, every step kept.

    With :math:`g = \nabla_x f(x_t)`, f the loss, a step of PGD goes to

    .. math:: x_{t+1} = \Pi(x_t + \alpha\,\mathrm{sign}\,g) \ (L_\infty), \qquad
              x_{t+1} = \Pi(x_t + \alpha\,g / \lVert g\rVert_2) \ (L_2),

    where :math:`\Pi` projects on the ball of radius epsilon around the clean input, and images
    also on [0, 1]. APGD adds a quarter of the last step as momentum, begins with alpha = 2 epsilon,
    and at checkpoints halves it for every input whose loss has stalled, which goes back to its
    best point; its last step T is the worst point of all that it saw. Rounding goes towards the
    clean input, so no step leaves the ball. A sample whose gradient is zero stays where it is.
    The model runs in evaluation mode; afterwards it is as it was, its parameters' gradients
    included.

    Parameters
    ----------
    model : a `Classifier` or any classifier that `extract_latents` takes
    split : images, as [0, 1] (uint8 is divided by 255), or a table
    method : "pgd"; "fgsm", which is one step of size epsilon and has no `steps` of its own; or
        "apgd", which needs no step size
    norm : "linf" or "l2"
    loss : "ce", the cross-entropy; or "dlr", the difference of logits ratio, which does not
        saturate (3 classes or more, with a target 4)
    epsilon : radius in `norm`; for tables in the columns' own units, which `load_data`
        standardises, and without bounds
    steps : T
    step_size : alpha of PGD; default epsilon / 4
    random_start : begin uniformly in the ball; step 0 of the record stays the clean input
    targeted : class, or one per row, whose probability is raised instead; "least_likely" for the
        class that each clean input is least likely to have
    seed : of the random start and of the noise of a stochastic model
    draws : for a stochastic model, the gradients of so many readings are averaged at every step
        (expectation over transformation), fresh noise each time. One reading of a stochastic
        encoder is a mean over draws already, `Classifier.predict_draws` of them, so that 1 will
        do; a stochastic head wants 10 or more. What is recorded has one fixed noise at all steps,
        so that it changes along the way only because the input does: the probabilities of a
        reading, and one latent drawn from q(z|x).
    keep_inputs : keep the inputs of every step too, as `Trajectory.change`, 2 bytes a value
    checks : so many of the first rows are attacked at radii 0 and 2 epsilon too, so that
        `attack_gates` can say whether these make sense
    batch_size : rows at a time
    layer : as in `extract_latents`
    device : where to compute; default the model's own
    progress : show a bar if it takes more than 2 s
    report : called with the steps done and all steps of all batches, after each

    Returns
    -------
    Trajectory
        T + 1 steps, in memory: 4 (T + 1) N (D + C) bytes.

    Raises
    ------
    InputError
        For text, options out of range, labels that the model does not know, or a model whose
        output does not depend on its input in a differentiable way.

    References
    ----------
    Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015 (FGSM).
    Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018 (PGD).
    Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks, ICML 2020 (APGD, DLR).
    Athalye et al., Synthesizing Robust Adversarial Examples, ICML 2018 (averaged gradients).
    """
    plan = planned(
        split,
        method=method,
        norm=norm,
        loss=loss,
        epsilon=epsilon,
        steps=steps,
        step_size=step_size,
        targeted=targeted is not None,
        draws=draws,
        seed=seed,
    )
    check_count("batch_size", batch_size)
    few = min(check_count("checks", checks, minimum=0), len(split))
    n, goal = len(split), goals(targeted, split)
    x = as_inputs(split)
    path = _Path(plan.steps, x, keep_inputs)
    starts = np.random.default_rng(seed).spawn(2)
    total = math.ceil(n / batch_size) * plan.steps
    with (
        reading(model, layer=layer, device=device, strict=False) as read,
        tqdm(total=total, unit=" steps", desc=method, delay=2, disable=not progress) as bar,
        torch.inference_mode(False),
    ):
        names, spread = look(read, x, split, seed)
        check_loss(plan, len(names))
        goal = least_likely(read, plan.seed, x, batch_size) if goal is None else goal
        as_labels("targeted", goal, n, len(names))
        for first in range(0, n, batch_size):
            rows = slice(first, first + batch_size)
            clean, wanted, labels = (
                torch.tensor(part[rows], device=read.device) for part in (x, goal, split.y)
            )
            start = start_in_ball(plan, clean, *starts) if random_start else None
            for t, step in enumerate(walk(read, plan, clean, start, wanted, labels, spread > 0)):
                path.keep(t, rows, step)
                bar.update(t > 0)
                if report is not None and t:
                    report(first // batch_size * plan.steps + t, total)
    others: list[Trajectory] = []
    for radius in _other_radii(plan) if few else []:
        others.append(
            attack(
                model,
                split.take(np.arange(few)),
                method=method,
                norm=norm,
                loss=loss,
                epsilon=radius,
                steps=steps if radius else 1,
                step_size=None if step_size is None else max(radius, 1e-9) / epsilon * step_size,
                random_start=random_start,
                targeted=None if targeted is None else goal[:few],
                seed=seed,
                draws=draws,
                batch_size=batch_size,
                layer=layer,
                device=device,
                progress=progress,
            )
        )
    return Trajectory(
        z=path.z,
        log_probs=path.log_probs,
        distance=path.distance,
        x=x,
        x_adv=path.x_adv,
        y=split.y,
        epsilon=plan.epsilon,
        norm=norm,
        method=method if targeted is None else f"targeted {method}",
        class_names=names,
        name=f"{split.name}, {method} {norm} ε={plan.epsilon:g}",
        loss=loss,
        target=None if targeted is None else goal,
        noise=spread,
        draws=plan.draws * read.draws,
        change=path.change,
        checks=tuple(others),
        label_prior=label_prior_of(model),
    )


# ---------------------------------------------------------------- parts


class _Path:
    """The arrays of a trajectory, filled batch by batch."""

    def __init__(self, steps: int, x: NDArray[np.float32], keep_inputs: bool) -> None:
        n = len(x)
        self._clean = x
        self.x_adv = np.empty_like(x)
        self.distance = np.empty((steps + 1, n), np.float32)
        self.z = self.log_probs = np.empty((steps + 1, n, 0), np.float32)
        self.change = np.empty((steps + 1, *x.shape), np.float16) if keep_inputs else None

    def keep(self, t: int, rows: slice, step: Step) -> None:
        if self.z.shape[2] == 0:
            shape = self.distance.shape
            self.z = np.empty((*shape, step.z.shape[1]), np.float32)
            self.log_probs = np.empty((*shape, step.log_probs.shape[1]), np.float32)
        self.z[t, rows] = to_numpy(step.z)
        self.log_probs[t, rows] = to_numpy(step.log_probs)
        self.distance[t, rows] = to_numpy(step.distance)
        last = t == len(self.z) - 1
        if last or self.change is not None:
            moved = to_numpy(step.x)
            if last:
                self.x_adv[rows] = moved
            if self.change is not None:
                self.change[t, rows] = moved - self._clean[rows]


def _other_radii(plan: Plan) -> list[float]:
    """Return radii whose outcome is known: 0 changes nothing, twice as much never helps."""
    if plan.epsilon == 0:
        return []
    most = 1.0 if plan.image and plan.norm == "linf" else math.inf
    return [r for r in (0.0, min(2 * plan.epsilon, most)) if r != plan.epsilon]


def as_inputs(split: Split) -> NDArray[np.float32]:
    """Return inputs as floats, images in [0, 1]."""
    bytes_ = split.x.dtype == np.uint8
    return split.x.astype(np.float32) / np.float32(255) if bytes_ else split.x


def look(
    read: Reader, x: NDArray[np.float32], split: Split, seed: int
) -> tuple[tuple[str, ...], float]:
    """Return the class names, and how much probabilities change when noise does; 0 = not at all."""
    few = torch.from_numpy(x[:8].copy())
    with torch.no_grad():
        one, other = (read(few, noise(read, s)).log_probs for s in (seed, seed + 1))
    spread = float((one.exp() - other.exp()).abs().max())
    # Differences too small for a probability are noise all the same.
    spread = 0.0 if torch.equal(one, other) else max(spread, 1e-12)
    return class_names(split.class_names, one.shape[1]), spread


def least_likely(
    read: Reader, seed: int, x: NDArray[np.float32], batch_size: int
) -> NDArray[np.int64]:
    """Return (N,) the class that each input is least likely to have."""
    found: list[Tensor] = []
    with torch.no_grad():
        for first in range(0, len(x), batch_size):
            rows = torch.from_numpy(x[first : first + batch_size].copy())
            found.append(read(rows, noise(read, seed)).log_probs.argmin(1).cpu())
    return torch.cat(found).numpy()
