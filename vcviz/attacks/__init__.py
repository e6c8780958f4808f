"""Attacks on the input that keep every step of the way."""

from __future__ import annotations

import math
from numbers import Real
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from vcviz.attacks.steps import Plan, Step, noise, start_in_ball, walk
from vcviz.errors import InputError, clip, unknown
from vcviz.latents import class_names, to_numpy
from vcviz.latents.adapter import Reader, reading
from vcviz.records import Split, Trajectory, as_labels

METHODS = ("fgsm", "pgd")
NORMS = ("linf", "l2")


def attack(
    model: nn.Module,
    split: Split,
    *,
    method: Literal["pgd", "fgsm"] = "pgd",
    norm: Literal["linf", "l2"] = "linf",
    epsilon: float = 0.1,
    steps: int = 40,
    step_size: float | None = None,
    random_start: bool = False,
    targeted: ArrayLike | None = None,
    seed: int = 0,
    draws: int = 1,
    batch_size: int = 256,
    layer: str | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
) -> Trajectory:
    r"""Return the path of an attack that raises the model's own cross-entropy, every step kept.

    With :math:`g = \nabla_x [-\log p(y|x_t)]` a step goes to

    .. math:: x_{t+1} = \Pi(x_t + \alpha\,\mathrm{sign}\,g) \ (L_\infty), \qquad
              x_{t+1} = \Pi(x_t + \alpha\,g / \lVert g\rVert_2) \ (L_2),

    where :math:`\Pi` projects on the ball of radius epsilon around the clean input, and images
    also on [0, 1]. Rounding goes towards the clean input, so no step leaves the ball. A sample
    whose gradient is zero stays where it is. The model runs in evaluation mode; afterwards it is
    as it was, its parameters' gradients included.

    Parameters
    ----------
    model : a `Classifier` or any classifier that `extract_latents` takes
    split : images, as [0, 1] (uint8 is divided by 255), or a table
    method : "pgd"; or "fgsm", which is one step of size epsilon and has no `steps` of its own
    norm : "linf" or "l2"
    epsilon : radius in `norm`; for tables in the columns' own units, which `load_data`
        standardises, and without bounds
    steps : T
    step_size : alpha; default epsilon / 4
    random_start : begin uniformly in the ball; step 0 of the record stays the clean input
    targeted : class, or one per row, whose probability is raised instead
    seed : of the random start and of the noise of a stochastic head
    draws : for a stochastic head, the gradients of so many draws are averaged at every step
        (expectation over transformation), fresh noise each time. What is recorded has one fixed
        noise at all steps, so that it changes along the way only because the input does.
    batch_size : rows at a time
    layer : as in `extract_latents`
    device : where to compute; default the model's own
    progress : show a bar if it takes more than 2 s

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
    Athalye et al., Synthesizing Robust Adversarial Examples, ICML 2018 (averaged gradients).
    """
    plan = _plan(split, method, norm, epsilon, steps, step_size, targeted, draws, seed)
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    n = len(split)
    goal = split.y if targeted is None else _targets(targeted, n)
    x = split.x.astype(np.float32) / np.float32(255) if split.x.dtype == np.uint8 else split.x
    x_adv, path = np.empty_like(x), _Path(plan.steps, n)
    starts = np.random.default_rng(seed).spawn(2)
    with (
        reading(model, layer=layer, device=device) as read,
        tqdm(
            total=math.ceil(n / batch_size) * plan.steps,
            unit=" steps",
            desc=method,
            delay=2,
            disable=not progress,
        ) as bar,
        torch.inference_mode(False),
    ):
        names, stochastic = _look(read, torch.tensor(x[:8]), split, seed)
        as_labels("targeted", goal, n, len(names))
        for first in range(0, n, batch_size):
            rows = slice(first, first + batch_size)
            clean = torch.tensor(x[rows], device=read.device)
            labels = torch.tensor(goal[rows], device=read.device)
            start = start_in_ball(plan, clean, *starts) if random_start else None
            for t, step in enumerate(walk(read, plan, clean, start, labels, stochastic)):
                path.keep(t, rows, step)
                bar.update(t > 0)
            x_adv[rows] = to_numpy(step.x)
    return Trajectory(
        z=path.z,
        log_probs=path.log_probs,
        distance=path.distance,
        x=x,
        x_adv=x_adv,
        y=split.y,
        epsilon=plan.epsilon,
        norm=norm,
        method=method if targeted is None else f"targeted {method}",
        class_names=names,
        name=f"{split.name}, {method} {norm} ε={plan.epsilon:g}",
    )


def attack_gates(path: Trajectory) -> dict[str, bool | float]:
    """Return the checks of an attack that can be read off its path; they belong beside its numbers.

    Returns
    -------
    dict
        ``starts_clean``: step 0 is the clean input; ``in_ball``: no step is further than epsilon;
        ``in_range``: images stay in [0, 1]; ``never_moved``: share of samples that stayed where
        they were, which with epsilon > 0 means a gradient of zero (masked or saturated);
        ``loss_fell``: share of samples whose loss at the end is below that at the start.
    """
    rows = np.arange(len(path))
    loss = -path.log_probs[:, rows, path.y]
    image = path.x.ndim == 4
    return {
        "starts_clean": bool((path.distance[0] == 0).all()),
        "in_ball": bool((path.distance <= path.epsilon * (1 + 1e-6)).all()),
        "in_range": bool(not image or (path.x_adv.min() >= 0 and path.x_adv.max() <= 1)),
        "never_moved": float((path.distance.max(0) == 0).mean()),
        "loss_fell": float((loss[-1] < loss[0]).mean()),
    }


# ---------------------------------------------------------------- parts


class _Path:
    """The arrays of a trajectory, filled batch by batch."""

    def __init__(self, steps: int, n: int) -> None:
        self.distance = np.empty((steps + 1, n), np.float32)
        self.z = self.log_probs = np.empty((steps + 1, n, 0), np.float32)

    def keep(self, t: int, rows: slice, step: Step) -> None:
        if self.z.shape[2] == 0:
            shape = self.distance.shape
            self.z = np.empty((*shape, step.z.shape[1]), np.float32)
            self.log_probs = np.empty((*shape, step.log_probs.shape[1]), np.float32)
        self.z[t, rows] = to_numpy(step.z)
        self.log_probs[t, rows] = to_numpy(step.log_probs)
        self.distance[t, rows] = to_numpy(step.distance)


def _look(read: Reader, x: Tensor, split: Split, seed: int) -> tuple[tuple[str, ...], bool]:
    """Return the class names, and whether the model answers differently to different noise."""
    with torch.no_grad():
        one, other = (read(x, noise(read, s)).log_probs for s in (seed, seed + 1))
    return class_names(split.class_names, one.shape[1]), not torch.equal(one, other)


def _targets(targeted: ArrayLike, n: int) -> NDArray[np.int64]:
    targets = np.asarray(targeted)
    return as_labels("targeted", np.full(n, targets) if targets.ndim == 0 else targets, n)


def _plan(
    split: Split,
    method: str,
    norm: str,
    epsilon: float,
    steps: int,
    step_size: float | None,
    targeted: ArrayLike | None,
    draws: int,
    seed: int,
) -> Plan:
    """Return the options after checking them."""
    if not isinstance(split, Split):
        raise InputError(f"an attack needs a Split, got {type(split).__name__}: Split(x, y)")
    if split.kind == "text":
        raise InputError("text cannot be attacked by gradients: token ids have none")
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)
    for name, value in (
        ("epsilon", epsilon),
        ("steps", steps),
        ("draws", draws),
        ("step_size", 1 if step_size is None else step_size),
    ):
        if not isinstance(value, Real) or isinstance(value, bool):
            raise InputError(f"{name} must be a number, got {clip(value)}")
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise InputError(f"epsilon must be a radius of 0 or more, got {epsilon}")
    if split.kind == "image" and norm == "linf" and epsilon > 1:
        raise InputError(
            f"epsilon {epsilon:g} is more than the whole range of images in [0, 1]; "
            f"did you mean {epsilon:g}/255?"
        )
    for name, value in (("steps", steps), ("draws", draws)):
        if value < 1 or value != int(value):
            raise InputError(f"{name} must be a whole number of 1 or more, got {value}")
    if step_size is not None and method == "fgsm":
        raise InputError("fgsm takes one step of size epsilon; step_size is for pgd")
    if step_size is not None and not (math.isfinite(step_size) and step_size > 0):
        raise InputError(f"step_size must be positive, got {step_size}")
    size = epsilon if method == "fgsm" else epsilon / 4 if step_size is None else step_size
    return Plan(
        norm=norm,
        epsilon=float(epsilon),
        steps=1 if method == "fgsm" else int(steps),
        step_size=float(size if targeted is None else -size),
        draws=int(draws),
        seed=seed,
        image=split.kind == "image",
    )
